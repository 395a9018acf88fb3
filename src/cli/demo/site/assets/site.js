// "Was this helpful?": answers in place, so that the page has something to run.
document.querySelectorAll(".helpful button").forEach((button) => {
  button.addEventListener("click", () => {
    button.parentElement.textContent = "Thank you, that helps us.";
  });
});

// "/" jumps to the search box.
document.addEventListener("keydown", (event) => {
  const box = document.querySelector("input[name=q]");
  if (event.key === "/" && box && document.activeElement !== box) {
    event.preventDefault();
    box.focus();
  }
});
