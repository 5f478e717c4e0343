"""What is asked: one pytest-benchmark module per question."""

if __name__ != "benchmarks":  # pytest imports the folder of an installation as ftbench.benchmarks
    import ftbench

    ftbench.use_own_packages()
