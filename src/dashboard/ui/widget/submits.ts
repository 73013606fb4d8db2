/**
 * A frame whose sandbox allows no forms sends none, and so says nothing of a click on a form's button either. Here no
 * form is ever sent: the click is told as what it means.
 */
export function listenToSubmits(): void {
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    if (button?.type !== "submit" || !button.form || button.disabled) return;
    event.preventDefault();
    if (button.form.reportValidity())
      button.form.dispatchEvent(
        new SubmitEvent("submit", { bubbles: true, cancelable: true, submitter: button }),
      );
  });
}
