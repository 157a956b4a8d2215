// Draws each figure of a page from the JSON beside it; the table that says the same is folded away then.
"use strict";

function colours() {
  const style = getComputedStyle(document.documentElement);
  const named = name => style.getPropertyValue(name).trim();
  return {text: named("--body-fg"), line: named("--hairline-color"), accent: named("--link-fg"), up: named("--gain-fg"), down: named("--loss-fg")};
}

function look() {
  const {text, line} = colours();
  return {
    layout: {background: {color: "transparent"}, textColor: text, fontFamily: getComputedStyle(document.body).fontFamily},
    grid: {vertLines: {color: line}, horzLines: {color: line}},
    rightPriceScale: {borderColor: line},
    timeScale: {borderColor: line},
  };
}

const SERIES = {
  candles: {
    type: LightweightCharts.CandlestickSeries,
    look: ({up, down}) => ({upColor: up, wickUpColor: up, downColor: down, wickDownColor: down, borderVisible: false}),
  },
  area: {
    type: LightweightCharts.AreaSeries,
    look: ({accent}) => ({lineColor: accent, topColor: `${accent}55`, bottomColor: `${accent}00`, lineWidth: 2}),
  },
};

function draw(figure) {
  const points = JSON.parse(document.getElementById(figure.dataset.points).textContent);
  const canvas = figure.querySelector(".chart-canvas");
  const {type, look: seriesLook} = SERIES[figure.dataset.kind];
  canvas.hidden = false;
  const chart = LightweightCharts.createChart(canvas, {autoSize: true, ...look()});
  const series = chart.addSeries(type, seriesLook(colours()));
  series.setData(points);
  chart.timeScale().fitContent();
  figure.querySelector("details").open = false;
  return () => {
    chart.applyOptions(look());
    series.applyOptions(seriesLook(colours()));
  };
}

const repaints = [...document.querySelectorAll("figure[data-points]")].map(draw);
const repaint = () => repaints.forEach(each => each());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
new MutationObserver(repaint).observe(document.documentElement, {attributes: true, attributeFilter: ["data-theme"]});
