/**
 * A text that others have written, for a host that makes links of it: a mark that nobody sees behind `@` and `#`, and within
 * addresses of issues, keeps it from calling people and from closing issues.
 */
export function inert(text: string): string {
  return text
    .replace(/<!--/g, "&lt;!--")
    .replace(/@(?=[\w-])/g, "@\u200b")
    .replace(/#(?=\d)/g, "#\u200b")
    .replace(/(\/(?:issues|pull|pulls|merge_requests)\/)(?=\d)/g, "$1\u200b");
}
