"use strict";
(function () {
  // Without this script every curve is shown with its table; with it one is chosen, and read at any number of cases.
  const curves = JSON.parse(document.getElementById("data").textContent);
  if (!curves.length) return;
  const byId = (id) => document.getElementById(id);
  const form = byId("controls"), slider = byId("size"), perCase = byId("per-case"), reading = byId("reading");
  const selects = [...form.querySelectorAll("select")];
  const entered = new Map(); // cost of a case by arm, once the reader has changed it
  let chosen = curves[0];

  const score = (value) => value.toFixed(3);
  const chance = (p) => (p > 0.99 ? "more than 99%" : p < 0.01 ? "less than 1%" : `${Math.round(100 * p)}%`);
  const probability = (p) => (p > 0.99 ? "> 0.99" : p < 0.01 ? "< 0.01" : p.toFixed(2));
  const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(3);
  const span = (lo, hi, words) => `[${words(lo)}, ${words(hi)}]`;
  const cases = (index) => chosen.points.n[index];

  // The curve with the value just chosen that agrees most with the other choices.
  function choose(changed) {
    const wanted = Object.fromEntries(selects.map((one) => [one.dataset.key, one.value]));
    const agrees = (curve) => selects.filter((one) => curve.key[one.dataset.key] === wanted[one.dataset.key]).length;
    const meant = curves.filter((curve) => !changed || curve.key[changed.dataset.key] === changed.value);
    const able = meant.length ? meant : curves;
    show(able.reduce((best, curve) => (agrees(curve) > agrees(best) ? curve : best), able[0]), cases(slider.value));
  }

  function show(curve, near) {
    chosen = curve;
    for (const one of curves) byId(one.id).hidden = one !== curve;
    for (const one of selects) one.value = curve.key[one.dataset.key];
    const sizes = curve.points.n, goal = near === undefined ? curve.start : near;
    let index = 0;
    sizes.forEach((n, i) => { if (Math.abs(n - goal) < Math.abs(sizes[index] - goal)) index = i; });
    slider.max = sizes.length - 1;
    slider.value = index;
    perCase.value = entered.get(curve.key.arm) ?? curve.cost.case ?? "";
    byId("unit").textContent = curve.cost.unit;
    read();
  }

  function cost(n) {
    const given = perCase.value === "" ? null : Number(perCase.value);
    if (given === null || !Number.isFinite(given) || given < 0) return "not known";
    if (n <= chosen.now) return "none: annotated already";
    const amount = (n - chosen.now) * given + chosen.cost.round;
    const words = amount < 1e15 ? amount.toLocaleString("en", { maximumFractionDigits: 2 }) : amount.toExponential(2);
    return `${words} ${chosen.cost.unit}`;
  }

  function cell(head, value, note) {
    const box = document.createElement("div"), name = document.createElement("span"), strong = document.createElement("strong");
    name.textContent = head;
    strong.textContent = value;
    box.append(name, strong, note ? ` ${note}` : "");
    return box;
  }

  function read() {
    const i = Number(slider.value), p = chosen.points, n = p.n[i], more = n - chosen.now;
    const cells = [
      cell("annotated cases", String(n), more > 0 ? `(${more} more)` : ""),
      cell(`expected ${chosen.metric}`, score(p.mid[i]), `${span(p.lo[i], p.hi[i], score)} (${chosen.level})`),
      cell("next run", span(p.run_lo[i], p.run_hi[i], score), `(${chosen.level})`),
    ];
    if (p.gain[i]) {
      cells.push(cell("gain over now", signed(p.gain[i][0]), span(p.gain[i][1], p.gain[i][2], signed)));
      cells.push(cell(`P(rise ≤ ${chosen.eps})`, probability(p.p_small[i])));
    }
    if (chosen.target !== null) {
      cells.push(cell(`chance that the mean reaches ${chosen.target}`, chance(p.p_target[i]), `at ${n} cases`));
    }
    cells.push(cell("cost of annotating", cost(n)));
    if (n > chosen.horizon) {
      const words = document.createElement("p");
      words.className = "beyond";
      words.textContent = `Past the horizon of ${chosen.horizon} cases: beyond what these pilots can tell.`;
      cells.push(words);
    }
    reading.replaceChildren(...cells);
    slider.setAttribute("aria-valuetext", `${n} cases, expected ${chosen.metric} ${score(p.mid[i])}`);
    point(n, p.mid[i]);
  }

  function point(n, value) {
    for (const kind of ["linear", "log"]) {
      const svg = byId(chosen.id).querySelector(`.chart.${kind}`), s = chosen.scales[kind];
      const place = kind === "log" ? Math.log : Number;
      const x = s.start + ((place(n) - place(s.first)) / (place(s.last) - place(s.first))) * (s.end - s.start);
      const y = s.bottom + ((value - s.low) / (s.high - s.low)) * (s.top - s.bottom);
      const cursor = svg.querySelector(".cursor"), line = cursor.querySelector("line"), mark = cursor.querySelector("circle");
      cursor.removeAttribute("visibility");
      line.setAttribute("x1", x); line.setAttribute("x2", x);
      mark.setAttribute("cx", x); mark.setAttribute("cy", Math.min(Math.max(y, s.top), s.bottom));
    }
  }

  // Hovering over, or touching, a chart reads it there.
  function follow(event) {
    const svg = event.currentTarget, kind = svg.classList.contains("log") ? "log" : "linear", s = chosen.scales[kind];
    const box = svg.getBoundingClientRect(), x = ((event.clientX - box.left) / box.width) * 720;
    const share = Math.min(Math.max((x - s.start) / (s.end - s.start), 0), 1);
    const n = kind === "log" ? s.first * Math.pow(s.last / s.first, share) : s.first + share * (s.last - s.first);
    let index = 0;
    chosen.points.n.forEach((size, i) => { if (Math.abs(size - n) < Math.abs(cases(index) - n)) index = i; });
    slider.value = index;
    read();
  }

  form.hidden = reading.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  selects.forEach((one) => one.addEventListener("change", () => choose(one)));
  slider.addEventListener("input", read);
  perCase.addEventListener("input", () => { entered.set(chosen.key.arm, perCase.value); read(); });
  byId("logarithmic").addEventListener("change", (event) => byId("explore").classList.toggle("logarithmic", event.target.checked));
  document.querySelectorAll("#explore .chart").forEach((svg) => {
    svg.addEventListener("pointermove", follow);
    svg.addEventListener("pointerdown", follow);
  });
  // On paper everything is open.
  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((one) => { one.open = true; });
  });
  window.addEventListener("afterprint", () => closed.forEach((one) => { one.open = false; }));
  show(chosen);
})();
