import { listEntries, PREFIX } from "../src/settings/entries.js";

/** The settings table of docs/settings.md, in Markdown, one row a setting, without a trailing newline. */
export function renderSettingsTable(): string {
  const told = listEntries().filter(({ isVariant }) => !isVariant);
  const rows = told.map((entry) => {
    const flag = entry.noFlag ? "–" : `\`--${entry.flag}\``;
    const shown = entry.defaultValue === undefined ? "–" : `\`${entry.defaultValue}\``;
    return `| \`${PREFIX}${entry.variable}\` | ${flag} | ${shown} | ${entry.bounds} | ${entry.about} |`;
  });
  return ["| variable | flag | default | allowed | what it does |", "|---|---|---|---|---|", ...rows].join(
    "\n",
  );
}
