import type { McpUiHostContext } from "@modelcontextprotocol/ext-apps";

/**
 * Dark or light as the chat is, which may be other than the browser: the rules for dark screens are switched on or off. Without a
 * word of the host they stay the browser's.
 */
export function applyTheme({ theme }: McpUiHostContext): void {
  if (theme !== "dark" && theme !== "light") return;
  document.documentElement.style.colorScheme = theme;
  for (const sheet of document.styleSheets)
    for (const rule of sheet.cssRules) {
      if (!(rule instanceof CSSMediaRule)) continue;
      if (isDarkRule(rule)) rule.media.mediaText = theme === "dark" ? "all" : "not all";
    }
}

/** Found before they are first changed. */
const darkRules = new WeakSet<CSSMediaRule>();

function isDarkRule(rule: CSSMediaRule): boolean {
  if (rule.conditionText.includes("prefers-color-scheme: dark")) darkRules.add(rule);
  return darkRules.has(rule);
}
