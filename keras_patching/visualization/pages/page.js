"use strict";

// The table: a header sorts, again the other way round.
const table = document.querySelector(".rows");
const body = table.tBodies[0];

function valueOf(row, column) {
  const cell = row.cells[column];
  const number = cell.dataset.value;
  return number === undefined ? cell.textContent : Number(number);
}

function compare(one, other) {
  if (typeof one === "string" || typeof other === "string") {
    return String(one).localeCompare(String(other), "en", { numeric: true });
  }
  return one - other;
}

function sortBy(header) {
  const column = header.cellIndex;
  const falls = header.getAttribute("aria-sort") === "ascending";
  for (const each of table.tHead.rows[0].cells) {
    each.removeAttribute("aria-sort");
  }
  header.setAttribute("aria-sort", falls ? "descending" : "ascending");
  const pairs = [...body.rows].map((row) => [valueOf(row, column), row]);
  // What is not known stays below, whichever way.
  const known = pairs.filter(([value]) => !Number.isNaN(value));
  const unknown = pairs.filter(([value]) => Number.isNaN(value));
  known.sort(([one], [other]) => (falls ? -1 : 1) * compare(one, other));
  body.append(...[...known, ...unknown].map(([, row]) => row));
}

table.tHead.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) sortBy(button.closest("th"));
});

// The layers: switched on and off in all pictures at once.
const layers = document.querySelector(".layers");

function showLayers(root) {
  if (!layers) return;
  for (const input of layers.querySelectorAll("[type=checkbox]")) {
    for (const each of root.querySelectorAll(".layer")) {
      if (each.dataset.layer === input.value) {
        each.toggleAttribute("hidden", !input.checked);
      }
    }
  }
}

if (layers) {
  layers.addEventListener("input", (event) => {
    if (event.target.type === "range") {
      const strength = event.target.value / 100;
      document.documentElement.style.setProperty("--strength", strength);
    } else {
      showLayers(document);
    }
  });
  showLayers(document); // A browser may keep what was switched before.
}

// The viewer: one large picture, that scrolls when it is zoomed.
const viewer = document.getElementById("viewer");
const pane = viewer.querySelector(".pane");
const stage = viewer.querySelector(".stage");
const name = document.getElementById("viewer-name");
const about = document.getElementById("viewer-values");
const place = document.createComment("layers");
const MOST_ZOOM = 8; // screen pixels per pixel of the image
const MOST_LENGTH = 16000;
let shown = null; // row
let size = [1, 1]; // width and height of the image
let zoom = 1;

function fitting() {
  return Math.min(pane.clientWidth / size[0], pane.clientHeight / size[1]);
}

function setZoom(wanted, x, y) {
  const least = Math.min(fitting(), 1);
  const most = Math.min(MOST_ZOOM, MOST_LENGTH / Math.max(...size));
  const before = stage.getBoundingClientRect();
  const fraction = [(x - before.left) / before.width, (y - before.top) / before.height];
  zoom = Math.max(least, Math.min(Math.max(most, least), wanted));
  stage.style.width = `${size[0] * zoom}px`;
  stage.style.height = `${size[1] * zoom}px`;
  stage.style.setProperty("--unit", 1 / zoom);
  stage.firstChild.classList.toggle("near", zoom > 3);
  // What was below the pointer stays there.
  const after = stage.getBoundingClientRect();
  pane.scrollLeft += after.left + fraction[0] * after.width - x;
  pane.scrollTop += after.top + fraction[1] * after.height - y;
}

function zoomBy(factor, event) {
  const box = pane.getBoundingClientRect();
  const x = event ? event.clientX : box.left + box.width / 2;
  const y = event ? event.clientY : box.top + box.height / 2;
  setZoom(zoom * factor, x, y);
}

// What the table says of an image, in a line.
function describe(row) {
  const heads = table.tHead.rows[0].cells;
  const firstText = (cell) =>
    [...cell.childNodes].find((node) => node.nodeType === Node.TEXT_NODE)?.data;
  return [...row.cells]
    .slice(2)
    .map((cell, i) => {
      const head = heads[i + 2].querySelector("button").textContent;
      return `${head}: ${firstText(cell)}`;
    })
    .join(", ");
}

function show(row) {
  const thumb = row.querySelector(".thumb");
  shown = row;
  name.textContent = row.querySelector("th").firstChild.textContent;
  about.textContent = describe(row);
  size = thumb.dataset.size.split(" ").map(Number);
  const picture = thumb.querySelector(".picture").cloneNode(true);
  const large = row.querySelector("template");
  if (large) {
    for (const image of large.content.cloneNode(true).querySelectorAll("img")) {
      const key = image.dataset.layer;
      const small = key ? `img[data-layer="${key}"]` : "img:not(.layer)";
      picture.querySelector(small).src = image.src;
    }
  }
  for (const svg of picture.querySelectorAll("svg")) {
    const rim = svg.cloneNode(true); // Bright images hide thin lines.
    rim.classList.add("rim");
    svg.before(rim);
  }
  stage.replaceChildren(picture);
  showLayers(stage);
  setZoom(fitting(), 0, 0);
}

// The page behind the viewer cannot be reached: the switches come along.
function takeLayers() {
  if (!layers || place.isConnected) return;
  layers.before(place);
  viewer.insertBefore(layers, pane);
}

function open(row) {
  takeLayers();
  viewer.showModal();
  show(row);
  pane.focus();
}

viewer.addEventListener("close", () => {
  if (viewer.open) return; // Again, before this was told.
  if (layers) place.replaceWith(layers);
  stage.replaceChildren();
  shown.querySelector(".thumb").focus();
});

function showNext(step) {
  const rows = [...body.rows].filter((row) => row.querySelector(".thumb"));
  show(rows[(rows.indexOf(shown) + step + rows.length) % rows.length]);
}

const actions = {
  previous: () => showNext(-1),
  next: () => showNext(1),
  in: () => zoomBy(1.5),
  out: () => zoomBy(1 / 1.5),
  fit: () => setZoom(fitting(), 0, 0),
  close: () => viewer.close(),
};
const keys = { "+": "in", "=": "in", "-": "out", 0: "fit", n: "next", p: "previous" };

body.addEventListener("click", (event) => {
  const thumb = event.target.closest(".thumb");
  if (thumb) open(thumb.closest("tr"));
});
viewer.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) actions[button.dataset.do]();
});
viewer.addEventListener("keydown", (event) => {
  if (event.target.type !== "range" && keys[event.key]) actions[keys[event.key]]();
});
pane.addEventListener(
  "wheel",
  (event) => {
    event.preventDefault();
    zoomBy(Math.exp(-event.deltaY / 400), event);
  },
  { passive: false },
);

// A mouse drags, one finger scrolls by itself, two fingers pinch.
pane.addEventListener("pointerdown", (event) => {
  if (event.pointerType !== "mouse" || event.button !== 0) return;
  const drag = (moved) => pane.scrollBy(-moved.movementX, -moved.movementY);
  pane.addEventListener("pointermove", drag);
  const end = () => pane.removeEventListener("pointermove", drag);
  addEventListener("pointerup", end, { once: true });
  event.preventDefault();
  pane.focus();
});
let spread = 0;
function spreadOf([one, other]) {
  return Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
}
pane.addEventListener("touchstart", (event) => {
  if (event.touches.length === 2) spread = spreadOf(event.touches);
});
pane.addEventListener(
  "touchmove",
  (event) => {
    if (event.touches.length !== 2) return;
    event.preventDefault();
    const [one, other] = event.touches;
    const now = spreadOf(event.touches);
    const clientX = (one.clientX + other.clientX) / 2;
    const clientY = (one.clientY + other.clientY) / 2;
    zoomBy(now / spread, { clientX, clientY });
    spread = now;
  },
  { passive: false },
);
