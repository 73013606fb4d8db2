import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The folder of the workflows that come with this package: `workflows` beside the nearest package.json above
 * `moduleUrl` (a module's `import.meta.url`; default: this one). So it is the same one for the sources, the build in
 * `dist` and an installed package. Throws when there is no package.json above, which means a broken installation.
 */
export function resolveShippedFolder(moduleUrl: string = import.meta.url): string {
  let folder = dirname(fileURLToPath(moduleUrl));
  while (!existsSync(join(folder, "package.json"))) {
    const above = dirname(folder);
    if (above === folder) {
      throw new Error(
        "The workflows that come with this package were not found. Nothing was started. Install the package again.",
      );
    }
    folder = above;
  }
  return join(folder, "workflows");
}
