// Names what the theme leaves without a name, and lets the keyboard scroll
// tables and pictures that are wider than the page. The theme makes these parts late.
function nameParts() {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  document.querySelectorAll(".md-code__nav").forEach((bar, index) => {
    bar.setAttribute("aria-label", `Code ${index + 1}`);
  });
  document.querySelectorAll(".md-typeset__scrollwrap").forEach((wrap, index) => {
    wrap.tabIndex = 0;
    wrap.setAttribute("role", "region");
    wrap.setAttribute("aria-label", `Table ${index + 1}`);
  });
  document.querySelectorAll("p:has(> img:only-child)").forEach((wrap, index) => {
    wrap.tabIndex = 0;
    wrap.setAttribute("role", "region");
    wrap.setAttribute("aria-label", `Picture ${index + 1}`);
  });
  const menu = document.querySelector(".md-header label[for=__drawer]");
  if (menu) {
    menu.tabIndex = 0;
    menu.setAttribute("role", "button");
    menu.setAttribute("aria-label", "Menu");
  }
}
new MutationObserver(nameParts).observe(document.body, {
  childList: true,
  subtree: true,
});
nameParts();
