// Writes the settings table into docs/settings.md, between its two marks.
import { readFileSync, writeFileSync } from "node:fs";
import { renderSettingsTable } from "../src/settings/render-table.js";

const file = new URL("../docs/settings.md", import.meta.url);
const marked = /(<!-- settings:begin -->\n)[\s\S]*?(<!-- settings:end -->)/;
writeFileSync(file, readFileSync(file, "utf8").replace(marked, `$1${renderSettingsTable()}\n$2`));
