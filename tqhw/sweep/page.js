
// Pareto pictures: a dot is told in a box below its picture and marked in every other picture; methods and precisions
// can be put away.
function pareto() {
  const dots = [...document.querySelectorAll(".dot")];
  const same = new Map();
  const away = { method: new Set(), bits: new Set() };
  const nameOf = (dot) => [dot.dataset.point, dot.dataset.method, dot.dataset.bits].join(" ");
  for (const dot of dots) {
    const title = dot.querySelector("title");
    dot.dataset.text = title.textContent;
    if (dot.parentNode.localName === "a") dot.parentNode.setAttribute("aria-label", title.textContent);
    title.remove();
    if (!same.has(nameOf(dot))) same.set(nameOf(dot), []);
    same.get(nameOf(dot)).push(dot);
  }

  function told(figure, dot) {
    for (const one of document.querySelectorAll(".dot.told")) one.classList.remove("told");
    for (const one of same.get(nameOf(dot))) one.classList.add("told");
    const box = figure.querySelector(".told-box");
    const lines = dot.dataset.text.split("; ").map((text) => {
      const line = document.createElement("div");
      line.textContent = text;
      return line;
    });
    if (dot.dataset.link) {
      const link = document.createElement("a");
      link.href = dot.dataset.link;
      link.textContent = `The report of point ${dot.dataset.point}`;
      lines.push(link);
    }
    box.replaceChildren(...lines);
  }

  for (const figure of document.querySelectorAll("figure.sweep")) {
    const box = document.createElement("div");
    box.className = "told-box soft";
    box.textContent = "Rest on a dot to see which point it is.";
    figure.querySelector("figcaption").prepend(box);
    const svg = figure.querySelector("svg.scatter");
    for (const kind of ["pointerover", "focusin", "click"]) {
      svg.addEventListener(kind, (event) => {
        const target = event.target.closest("a, .dot");
        const dot = target && (target.matches(".dot") ? target : target.querySelector(".dot"));
        if (dot) { box.classList.remove("soft"); told(figure, dot); }
      });
    }
  }

  function shown() {
    for (const one of document.querySelectorAll("figure.sweep svg [data-method]")) {
      const gone = away.method.has(one.dataset.method) || away.bits.has(one.dataset.bits);
      (one.parentNode.localName === "a" ? one.parentNode : one).classList.toggle("away", gone);
    }
  }

  for (const item of document.querySelectorAll(".keys li[data-method], .keys li[data-bits]")) {
    const kind = item.dataset.method === undefined ? "bits" : "method";
    const value = item.dataset[kind];
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    button.append(...item.childNodes);
    item.append(button);
    button.addEventListener("click", () => {
      if (!away[kind].delete(value)) away[kind].add(value);
      for (const other of document.querySelectorAll(`.keys li[data-${kind}] > button`)) {
        other.setAttribute("aria-pressed", String(!away[kind].has(other.parentNode.dataset[kind])));
      }
      shown();
    });
  }
}

pareto();
