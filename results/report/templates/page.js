// Draws every chart again, to the width of its place, when it comes into view. Without this script the
// page shows the same charts as pictures.
(() => {
  "use strict";
  if (!window.vega) return;
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);

  function showTip(handler, event, item, value) {
    tip.hidden = value === null || value === undefined || value === "";
    if (tip.hidden) return;
    tip.replaceChildren();
    const rows = typeof value === "object" ? Object.entries(value) : [["", value]];
    for (const [name, text] of rows) {
      const line = document.createElement("div");
      line.textContent = name ? name + ": " + text : String(text);
      tip.append(line);
    }
    const right = window.innerWidth - tip.offsetWidth - 8;
    tip.style.left = Math.max(8, Math.min(event.clientX + 12, right)) + "px";
    tip.style.top = Math.max(8, event.clientY - tip.offsetHeight - 12) + "px";
  }

  async function draw(figure) {
    const place = figure.querySelector(".chart");
    const holder = document.createElement("div");
    const specification = JSON.parse(figure.querySelector("script").textContent);
    const view = new vega.View(vega.parse(specification), { renderer: "svg" });
    view.tooltip(showTip).initialize(holder).width(place.clientWidth).hover();
    await view.runAsync();
    place.replaceChildren(holder);
    figure.dataset.drawn = "yes";
    figure.vegaView = view;
    let width = place.clientWidth;
    new ResizeObserver(() => {
      if (place.clientWidth && place.clientWidth !== width) {
        width = place.clientWidth;
        view.width(width).runAsync();
      }
    }).observe(place);
    addSwitches(figure, view);
    addControls(figure, view);
  }

  function addSwitches(figure, view) {
    const keys = figure.querySelectorAll(".key[data-series]");
    if (keys.length < 2) return;
    const off = new Set();
    for (const key of keys) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = key.className;
      button.title = "show or hide";
      button.setAttribute("aria-pressed", "true");
      button.append(...key.childNodes);
      button.addEventListener("click", () => {
        const name = key.dataset.series;
        const shown = off.delete(name) || !off.add(name);
        button.setAttribute("aria-pressed", String(shown));
        view.signal("off", [...off]).runAsync();
      });
      key.replaceWith(button);
    }
  }

  function addControls(figure, view) {
    const controls = figure.querySelector(".controls");
    if (!controls) return;
    controls.hidden = false;
    for (const control of controls.querySelectorAll("input, select")) {
      control.addEventListener("input", () => {
        const value = control.type === "range" ? Number(control.value) : control.value;
        view.signal(control.name, value).runAsync();
      });
    }
  }

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        seen.unobserve(entry.target);
        draw(entry.target);
      }
    }
  }, { rootMargin: "400px" });
  for (const figure of document.querySelectorAll("figure")) seen.observe(figure);
  // What is printed may never have come into view.
  window.addEventListener("beforeprint", () => {
    for (const figure of document.querySelectorAll("figure:not([data-drawn])")) {
      if (!figure.offsetParent) continue;
      seen.unobserve(figure);
      draw(figure);
    }
  });
})();
