import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** Licences under which code may be bundled when its text comes along. */
const ALLOWED =
  /^\(?(MIT|ISC|BSD-2-Clause|BSD-3-Clause|Apache-2\.0|0BSD|BlueOak-1\.0\.0|Unlicense|CC0-1\.0)\b/;
/** Packages whose `license` field is no name of a licence, with what they say themselves. */
const STATED: Record<string, string> = {
  "uri-templates": "public domain: anybody can modify or re-license it for any purpose, without restriction",
};
const NOTICE = /^(licen[cs]e|copying|notice)/i;

/** Packages that come only inside of others, with a package of the same repository and licence. */
const SIBLING: Record<string, string> = {
  "@modelcontextprotocol/node": "@modelcontextprotocol/server",
  "@modelcontextprotocol/server-legacy": "@modelcontextprotocol/server",
};

/**
 * The licences of all packages of which something is bundled, one after the other, as text; of those, too, that
 * a bundled package has bundled itself, as its comments tell.
 * @param root the folder that the inputs' paths start from, with `node_modules`
 * @param inputs paths of source files
 * @throws an Error naming a package that is not installed, or whose licence is not among the allowed ones
 */
export function collectLicenses(root: string, inputs: string[]): string {
  const files = inputs.map((path) => resolve(root, path.replace(/^[\w-]+:(?=.*node_modules)/, "")));
  const folders = new Set<string>();
  for (const file of files.filter((path) => path.includes("node_modules"))) {
    folders.add(/^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file.replaceAll("\\", "/"))?.[0] ?? file);
    const inside = readFileSync(file, "utf8").matchAll(
      /\/\/#region \S*node_modules\/((?:@[^/]+\/)?[^/.][^/]*)\//g,
    );
    for (const [, name = ""] of inside) folders.add(join(root, "node_modules", SIBLING[name] ?? name));
  }
  const unique = new Map([...folders].map((folder) => describePackage(folder)));
  const sorted = [...unique].sort(([one], [other]) => (one < other ? -1 : 1));
  return [
    `This package contains code of ${unique.size} other packages. Their licences:\n`,
    ...sorted.map(([title, text]) => `${"=".repeat(78)}\n${title}\n\n${text}\n`),
  ].join("\n");
}

function describePackage(folder: string): [title: string, text: string] {
  const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const { name, version, author, repository } = about;
  const license: string = STATED[name] ?? about.license;
  if (!(name in STATED) && !ALLOWED.test(license)) {
    throw new Error(`${name}@${version} has the licence ${license}: look at it first.`);
  }
  const notices = readdirSync(folder)
    .filter((file) => NOTICE.test(file))
    .sort();
  const text = notices.map((file) => readFileSync(join(folder, file), "utf8").trim()).join("\n\n");
  const source = typeof repository === "string" ? repository : repository?.url;
  const by = typeof author === "string" ? author : author?.name;
  const standard =
    license === "MIT" ? `Copyright (c) ${by ?? `the contributors of ${name}`}\n\n${MIT}` : license;
  const title = [`${name} ${version} (${license})`, by && `by ${by}`, source].filter(Boolean).join("\n");
  return [title, text || standard];
}

/** For packages that name the licence and leave out its text. */
const MIT = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;
