"""Two traces become a certificate, or the first difference and its likely cause."""
