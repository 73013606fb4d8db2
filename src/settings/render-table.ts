import { listEntries, PREFIX } from "./entries.js";

/** The settings table of docs/settings.md, in Markdown, one row a setting, without a trailing newline. */
export function renderSettingsTable(): string {
  const rows = listEntries().map((entry) => {
    const shown = entry.defaultValue === undefined ? "–" : `\`${entry.defaultValue}\``;
    return `| \`${PREFIX}${entry.variable}\` | \`--${entry.flag}\` | ${shown} | ${entry.bounds} | ${entry.about} |`;
  });
  return ["| variable | flag | default | allowed | what it does |", "|---|---|---|---|---|", ...rows].join(
    "\n",
  );
}
