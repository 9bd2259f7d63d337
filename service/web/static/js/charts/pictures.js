// Pictures that the server draws for a light or a dark theme, and the choice between all images and wrong ones.

/** Load the pictures of the page for its theme. */
export function loadPictures() {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
  for (const image of document.querySelectorAll("img[data-light]")) {
    const source = address(image, dark);
    if (image.getAttribute("src") !== source) image.src = source;
    image.hidden = false;
    image.onerror = () => onMissing(image);
    image.onload = () => note(image, "");
  }
}

function address(image, dark) {
  const source = dark ? image.dataset.dark : image.dataset.light;
  return wrongOnly(image) ? `${source}&wrong=true` : source;
}

function wrongOnly(image) {
  return image.closest("section").querySelector("[data-wrong]")?.checked ?? false;
}

/** No picture of wrong images: all are right. No other picture: the run's model is not stored. */
function onMissing(image) {
  if (!wrongOnly(image)) {
    image.closest("section").remove();
    return;
  }
  image.hidden = true;
  note(image, "No test image is predicted wrong.");
}

function note(image, text) {
  const place = image.closest("section").querySelector("[data-note]");
  if (place) place.textContent = text;
}

/** Draw the pictures again when the choice changes. */
export function setUpPictures() {
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-wrong]")) loadPictures();
  });
}
