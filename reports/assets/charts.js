"use strict";
// Draws the charts of a page with uPlot, in the place of their SVG, from the same
// figures; the SVG comes back on paper. What uPlot adds is a cursor and a zoom that
// all charts over one axis share. The page of a game day draws them again and again.
(() => {
  const style = () => getComputedStyle(document.documentElement);
  const color = (tone) => style().getPropertyValue("--" + tone).trim() || "#888";
  const plots = new Map(); // by sync name, those that share an axis
  const drawn = new Map(); // by id of the figure
  let zooming = false;

  const digits = (v, n = 3) => String(Number.isInteger(v) ? v : Number(v.toPrecision(n)));
  const two = (n) => String(n).padStart(2, "0");
  const thousands = (v, n) => {
    for (const [from, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
      if (Math.abs(v) >= from) return digits(v / from, n) + unit;
    }
    return digits(v, n);
  };
  const clock = (v, last) => {
    if (last < 120) return digits(v) + "s";
    const s = Math.round(v), sec = two(s % 60);
    return last < 7200 ? Math.floor(s / 60) + ":" + sec : Math.floor(s / 3600) + ":" + two(Math.floor(s / 60) % 60) + ":" + sec;
  };
  const text = (axis, v) => {
    const n = axis.digits || 3;
    switch (axis.kind) {
      case "time": return clock(v, axis.max);
      case "ms": return Math.abs(v) >= 1000 ? digits(v / 1000, n) + "s" : digits(v, n) + "ms";
      case "share": return digits(100 * v, n) + "%";
      case "pct": return digits(v, n) + "%";
      case "quantile": return v === 0 ? "0" : (100 * (1 - 10 ** -v)).toFixed(Math.max(0, Math.round(v) - 2)) + "%";
      case "rate": return thousands(v, n) + "/s";
    }
    return thousands(v, n);
  };

  // data is what uPlot wants: the x values, then those of each series, and behind
  // them the lower edges of areas. A step needs the end of the last column too.
  const data = (c) => {
    const points = Boolean(c.at);
    const xs = points ? [...c.at] : Array.from({ length: c.n || 0 }, (_, i) => c.from + i * c.step);
    const column = (y) => {
      const all = xs.map((_, i) => (y && i < y.length ? y[i] : y ? null : 0));
      if (!points || c.series.some((s) => !s.line && !s.dots)) all.push(all[all.length - 1]);
      return c.y.log ? all.map((v) => (v !== null && v < c.y.min ? c.y.min : v)) : all;
    };
    const ys = c.series.map((s) => column(s.y));
    for (const s of c.series) if (s.area) ys.push(column(s.low));
    if (ys.some((y) => y.length > xs.length)) xs.push(c.x.max);
    const all = [xs, ...ys];
    // uPlot takes the ends of its x axis from the figures.
    if (!(xs[0] <= c.x.min)) all.forEach((v, i) => v.unshift(i ? null : c.x.min));
    if (!(xs[xs.length - 1] >= c.x.max)) all.forEach((v, i) => v.push(i ? null : c.x.max));
    return all;
  };

  const hatch = (ctx) => {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const t = tile.getContext("2d");
    t.strokeStyle = color("gray");
    t.beginPath();
    for (const x of [-8, 0, 8]) { t.moveTo(x, 8); t.lineTo(x + 8, 0); }
    t.stroke();
    return ctx.createPattern(tile, "repeat");
  };

  // inside clips to the plot, and gives where x and y are on the canvas.
  const inside = (u, draw) => {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.font = 11 * devicePixelRatio + "px system-ui, sans-serif";
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    draw(ctx, bbox, (v) => u.valToPos(v, "x", true), (v) => u.valToPos(v, "y", true));
    ctx.restore();
  };

  const behind = (c) => (u) => inside(u, (ctx, box, px) => {
    for (const b of c.bands || []) {
      const from = px(b.from), to = px(b.to);
      ctx.fillStyle = ctx.strokeStyle = color(b.tone);
      ctx.globalAlpha = 0.14;
      ctx.fillRect(from, box.top, Math.max(to - from, 1), box.height);
      ctx.globalAlpha = 0.8;
      ctx.setLineDash([2, 4]);
      for (const x of [from, to]) { ctx.beginPath(); ctx.moveTo(x, box.top); ctx.lineTo(x, box.top + box.height); ctx.stroke(); }
      ctx.setLineDash([]);
    }
    ctx.globalAlpha = 0.35;
    if (c.unwell) ctx.fillStyle = hatch(ctx);
    for (const [from, to] of c.unwell || []) ctx.fillRect(px(from), box.top, Math.max(px(to) - px(from), 1), box.height);
  });

  const lanes = (c, ctx, box, px) => {
    const unit = devicePixelRatio, rows = c.lanes.length;
    c.lanes.forEach((lane, row) => {
      const base = box.top + (row + 1) * box.height / rows - 2 * unit, bar = 14 * unit;
      for (const s of lane.spans || []) {
        const h = Math.max(2 * unit, s.level * bar), from = px(s.from), width = Math.max(px(s.to) - from, 4 * unit);
        ctx.fillStyle = color(s.tone);
        ctx.globalAlpha = 0.85;
        ctx.fillRect(from, base - h, width, h);
        ctx.globalAlpha = 1;
        if (s.name && h >= 12 * unit && ctx.measureText(s.name).width + 6 * unit < width) {
          ctx.fillStyle = color("bg");
          ctx.fillText(s.name, from + 3 * unit, base - 3 * unit);
        }
      }
      if (!lane.name || !lane.spans || !lane.spans.length) return;
      let name = lane.name;
      while (name.length > 2 && ctx.measureText(name).width > box.width) name = name.slice(0, -2) + "…";
      const first = lane.spans[0], room = box.left + box.width - ctx.measureText(name).width;
      ctx.fillStyle = color("ink");
      ctx.fillText(name, Math.max(box.left, Math.min(px(first.from), room)), base - bar - 4 * unit);
    });
  };

  const above = (c) => (u) => {
    inside(u, (ctx, box, px, py) => {
      if (c.lanes) lanes(c, ctx, box, px);
      for (const m of c.marks || []) {
        ctx.strokeStyle = ctx.fillStyle = color(m.tone);
        ctx.setLineDash([6 * devicePixelRatio, 3 * devicePixelRatio]);
        ctx.beginPath();
        const at = m.x ? px(m.at) : py(m.at), width = ctx.measureText(m.label).width;
        if (m.x) { ctx.moveTo(at, box.top); ctx.lineTo(at, box.top + box.height); } else { ctx.moveTo(box.left, at); ctx.lineTo(box.left + box.width, at); }
        ctx.stroke();
        ctx.setLineDash([]);
        const right = box.left + box.width - width - 4;
        if (m.x) ctx.fillText(m.label, Math.min(at + 4, right), box.top + 11 * devicePixelRatio);
        else ctx.fillText(m.label, right, at - 4 < box.top + 12 ? at + 12 * devicePixelRatio : at - 4);
      }
    });
    // The letters of the bands stand above the plot, outside of what is clipped.
    const { ctx, bbox } = u;
    ctx.save();
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    ctx.font = "600 " + 11 * devicePixelRatio + "px system-ui, sans-serif";
    let occupied = -1;
    for (const b of c.bands || []) {
      if (!b.label || b.to < u.scales.x.min || b.from > u.scales.x.max) continue;
      // Where there is no room of its own it stands beside the one before it.
      const at = Math.max(occupied, u.valToPos(Math.max(b.from, u.scales.x.min), "x", true));
      ctx.fillStyle = color(b.tone);
      ctx.fillText(b.label, at, bbox.top - 3 * devicePixelRatio);
      occupied = at + ctx.measureText(b.label + " ").width;
    }
    ctx.restore();
  };

  // A column is drawn to its end, also where none follows: the step goes on, and a gap
  // that begins there hides what is too much.
  const steps = () => uPlot.paths.stepped({ align: 1, alignGaps: 1, extend: true });

  const series = (c, s) => ({
    label: s.name,
    scale: "y",
    stroke: () => (s.dots ? "transparent" : color(s.tone)),
    width: s.area ? 1 : 1.6,
    dash: s.dash ? s.dash.split(" ").map(Number) : undefined,
    paths: s.line || s.dots ? undefined : steps(),
    spanGaps: Boolean(s.line),
    points: s.dots ? { show: true, size: 5, fill: () => color(s.tone), stroke: () => color(s.tone) } : { show: false },
  });

  // splits are the ticks of an axis of powers of ten; of others uPlot finds them.
  const splits = (axis) => {
    if (axis.ticks) return () => axis.ticks;
    return axis.kind === "quantile" ? () => Array.from({ length: Math.floor(axis.max) + 1 }, (_, i) => i) : undefined;
  };

  // whole numbers are what there is of things that are counted.
  const whole = (axis) => (axis.kind === "count" ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] } : {});
  const top = (c) => ((c.bands || []).some((b) => b.label) ? 16 : 6); // room for the letters of bands
  const height = (c) => (c.lanes ? 30 * c.lanes.length + 4 : c.height || 140) + 26 + top(c);

  const options = (c, figure, width) => {
    const axis = () => ({ stroke: () => color("soft"), font: "11px system-ui, sans-serif", grid: { stroke: () => color("line"), width: 1 }, ticks: { show: false } });
    const all = (c.series || []).map((s) => series(c, s)), bands = [], lows = {};
    (c.series || []).forEach((s, i) => {
      if (!s.area) return;
      all.push({ scale: "y", stroke: "transparent", points: { show: false }, paths: steps() });
      lows[i] = all.length;
      bands.push({ series: [i + 1, all.length], fill: () => color(s.tone) + "60" });
    });
    const seen = figure.querySelectorAll(".legend .v");
    return {
      width,
      height: height(c),
      padding: [() => top(c), 12, 0, 0],
      legend: { show: false },
      cursor: { sync: c.sync ? { key: c.sync } : undefined, y: false, drag: { x: true, y: false } },
      scales: { x: { time: false, min: c.x.min, max: c.x.max, distr: c.x.log ? 3 : 1 }, y: { distr: c.y.log ? 3 : 1, range: () => (c.lanes ? [0, 1] : [c.y.min, c.y.max]) } },
      axes: [
        { ...axis(), ...whole(c.x), size: 24, space: 60, splits: splits(c.x), values: (_, vs) => vs.map((v) => (v === null ? "" : text(c.x, v))) },
        { ...axis(), size: 52, splits: () => c.y.ticks || [], grid: { ...axis().grid, show: !c.lanes }, values: (_, vs) => vs.map((v) => (v === null || c.lanes ? "" : text(c.y, v))) },
      ],
      series: [{}, ...all],
      bands,
      hooks: {
        drawClear: [behind(c)],
        draw: [above(c)],
        setCursor: [(u) => seen.forEach((e, i) => {
          const at = u.cursor.idx, y = at === null ? null : u.data[i + 1][at];
          const below = lows[i] && !c.series[i].range ? u.data[lows[i]][at] || 0 : 0; // what it is stacked upon
          e.textContent = y === null || y === undefined ? "" : text(c.y, y - below);
        })],
        setScale: [(u, key) => {
          if (key !== "x" || zooming || !c.sync) return;
          zooming = true;
          for (const other of plots.get(c.sync) || []) if (other !== u) other.setScale("x", { min: u.scales.x.min, max: u.scales.x.max });
          zooming = false;
        }],
      },
    };
  };

  const start = (c) => {
    const figure = document.getElementById(c.id), room = figure.querySelector(".plot");
    let plot = null;
    const given = () => (c.lanes ? [[c.x.min, c.x.max]] : data(c));
    const update = (newer) => {
      const zoomed = plot && (plot.scales.x.min > c.x.min || plot.scales.x.max < c.x.max);
      for (const key of Object.keys(c)) delete c[key];
      Object.assign(c, newer); // what draws the plot reads c
      if (!plot) return;
      plot.setData(given(), !zoomed);
      if (zoomed) plot.redraw();
      if (plot.height !== height(c)) plot.setSize({ width: plot.width, height: height(c) });
    };
    drawn.set(c.id, { figure, update });
    const fit = () => {
      const width = Math.floor(room.clientWidth);
      if (width < 50) return; // within what is folded away
      if (plot) return void (plot.width !== width && plot.setSize({ width, height: plot.height }));
      zooming = true; // its own first scale is no zoom
      plot = new uPlot(options(c, figure, width), given(), room);
      zooming = false;
      plot.root.setAttribute("role", "img");
      plot.root.setAttribute("aria-label", c.title + ". " + (c.desc || ""));
      figure.classList.add("live");
      if (c.sync) plots.set(c.sync, [...(plots.get(c.sync) || []), plot]);
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot.redraw());
    };
    new ResizeObserver(() => requestAnimationFrame(fit)).observe(room);
  };

  // drawCharts draws charts in their figures. One that is drawn goes on with the newer
  // figures, zoomed as it is.
  globalThis.drawCharts = (charts) => {
    for (const c of charts) {
      const there = drawn.get(c.id);
      if (there && there.figure.isConnected) there.update(c);
      else start(c);
    }
  };
  const all = document.querySelector("script#charts");
  if (all) globalThis.drawCharts(JSON.parse(all.textContent));
  const hint = document.getElementById("zoom");
  if (hint) hint.hidden = false;
})();
