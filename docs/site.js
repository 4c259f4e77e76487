// What the theme leaves without a name or out of the reach of the keyboard.
document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
document.querySelectorAll(".md-code__nav").forEach((bar, index) => {
  bar.setAttribute("aria-label", `Code block ${index + 1}`);
});
document.querySelectorAll(".md-typeset__scrollwrap").forEach((wrap, index) => {
  wrap.tabIndex = 0;
  wrap.setAttribute("role", "region");
  wrap.setAttribute("aria-label", `Table ${index + 1}`);
});
