import { expect, test } from "vitest";
import { collectTexts } from "./support/texts.js";

test("the texts that a person or a model reads are those of the list, for review", async () => {
  const list = [...collectTexts()]
    .map(
      ([file, texts]) =>
        `${file}\n${texts.map((text) => `  ${JSON.stringify(text).slice(1, -1)}\n`).join("")}`,
    )
    .join("\n");
  await expect(list.replaceAll('\\"', '"')).toMatchFileSnapshot("snapshots/texts.txt");
});
