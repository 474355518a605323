/* Reload the page every few seconds, but not while somebody uses one of its controls. */
(() => {
  "use strict";

  const seconds = Number(document.currentScript.dataset.smswwSeconds);
  setInterval(() => {
    if (document.activeElement === document.body) {
      location.reload();
    }
  }, seconds * 1000);
})();
