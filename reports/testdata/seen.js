// What a page shows, as JSON. Words are looked at where they are SVG: on a canvas they
// are pixels.
(() => {
  const box = (e) => e.getBoundingClientRect();
  const charts = new Set(JSON.parse(document.getElementById("charts").textContent).map((c) => c.id));
  const cut = [], covered = [];
  for (const svg of document.querySelectorAll("svg")) {
    const edge = box(svg), where = svg.closest("[id]").id + ": ";
    const words = [...svg.querySelectorAll("text")].filter((t) => box(t).width > 0);
    words.forEach((word, i) => {
      const r = box(word);
      if (r.left < edge.left - 1 || r.right > edge.right + 1 || r.top < edge.top - 2 || r.bottom > edge.bottom + 2) {
        cut.push(where + word.textContent);
      }
      for (const other of words.slice(i + 1)) {
        const o = box(other);
        const across = Math.min(r.right, o.right) - Math.max(r.left, o.left), down = Math.min(r.bottom, o.bottom) - Math.max(r.top, o.top);
        if (across > 2 && down > 6) covered.push(where + word.textContent + " and " + other.textContent);
      }
    });
  }
  const refuted = [...document.querySelectorAll(".claims > li")].filter((claim) => claim.querySelector(".mark.refuted"));
  const below = refuted.length > 0 && box(refuted[0].querySelector(".why")).bottom + scrollY > innerHeight;
  const plots = [...document.querySelectorAll("figure")].filter((f) => f.checkVisibility()).map((f) => {
    const r = box(f.querySelector(".plot")), canvas = f.querySelector("canvas");
    return {
      ID: f.id, X: r.x + scrollX, Y: r.y + scrollY, W: r.width, H: r.height,
      Canvas: Boolean(canvas && box(canvas).width > 0), Live: charts.has(f.id),
    };
  });
  return JSON.stringify({ Cut: cut, Covered: covered, Below: below, Wide: document.documentElement.scrollWidth, Plots: plots });
})()
