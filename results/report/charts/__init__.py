"""Charts as Vega-Lite specifications: one description gives the interactive chart of a page and, through
vl-convert, the same chart as an SVG picture, without a browser."""

from results.report.charts.bars import Bar as Bar
from results.report.charts.bars import bars as bars
from results.report.charts.chart import Chart as Chart
from results.report.charts.curves import curves as curves
from results.report.charts.lines import Level as Level
from results.report.charts.lines import Line as Line
from results.report.charts.lines import Point as Point
from results.report.charts.lines import Shape as Shape
from results.report.charts.lines import lines as lines
