/** A text in which Slack finds neither a mention nor a link of its own making: those are written in angle brackets. */
export function escapeSlack(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
