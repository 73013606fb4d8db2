import { expect, test } from "vitest";
import { listCommits, tellBriefly } from "../src/actions/describe-work.js";
import type { Work } from "../src/api/types.js";

// Commits in a form, of which some clients show the first lines only.

const work = (titles: string[], commitCount = titles.length): Work => ({
  branch: "automagik/login",
  commits: titles.map((title, at) => ({ id: `${at}abc123`, title })),
  commitCount,
  files: 2,
  insertions: 12,
  deletions: 3,
  deliveredTo: "repository",
});

const HEAD = (count: string) => `${count}, 2 files, +12 -3, on automagik/login`;

test("the size comes first, then as many subjects as fit, and how many more there are", () => {
  expect(tellBriefly(work(["Add the login", "Test it"]), 118)).toBe(
    `${HEAD("2 commits")}: Add the login; Test it`,
  );
  const many = work(
    Array.from({ length: 10 }, (_, at) => `Build the part number ${at + 1}`),
    14,
  );
  const told = tellBriefly(many, 118);
  expect(told).toBe(`${HEAD("14 commits")}: Build the part number 1; Build the part number 2; and 12 more`);
  expect(told.length).toBeLessThanOrEqual(118);
  // Where not even one fits, the size stands alone.
  expect(tellBriefly(many, 40)).toBe(HEAD("14 commits"));
});

test("a long subject is shortened, and the list goes on behind it", () => {
  const long = "Rewrite the whole of the session handling so that nothing of it waits for anything ".repeat(
    3,
  );
  expect(tellBriefly(work([long, "Test it"]), 118)).toBe(
    `${HEAD("2 commits")}: Rewrite the whole of the sessio…; Test it`,
  );
  const [, first = "", second] = listCommits(work([long, "Test it"]));
  expect(first).toMatch(/^- 0abc123 Rewrite .*…$/);
  expect(first.length).toBeLessThanOrEqual(112);
  expect(second).toBe("- 1abc123 Test it");
});
