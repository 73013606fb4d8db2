const TITLES: Record<string, string> = {
  slack: "Slack",
  discord: "Discord",
  linear: "Linear",
  pull_request: "pull requests",
};

/** What a person calls the service of a target: without which address, use or worker it is. */
export function serviceOf(target: string): string {
  const name = target.replace(/[-/].*$/s, "");
  return TITLES[name] ?? name;
}
