import { useEffect } from "preact/hooks";
import { act, askPerson, openForm } from "./act.js";
import { Connection } from "./frame/connection.js";
import { Notices } from "./frame/notices.js";
import { board, watch } from "./live.js";
import { ActionForm } from "./parts/action-form.js";
import { ActProvider, AskProvider, LinksProvider } from "./parts/doing.js";
import { type Route, route, toPlan, toRun } from "./route.js";
import { BoardPage } from "./views/board.js";
import { FiguresPage } from "./views/figures.js";
import { HelpPage } from "./views/help.js";
import { PlanPage } from "./views/plan.js";
import { RunPage } from "./views/run.js";

const LINKS = { run: toRun, plan: toPlan };

/** The frame of the page, and in it what its address names. */
export function App() {
  const shown = route.value;
  const form = openForm.value;
  useEffect(() => {
    watch(shown.view === "run" ? { run: shown.id } : shown.view === "plan" ? { plan: shown.id } : {});
    document.getElementById("content")?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [shown.view, "id" in shown ? shown.id : ""]);
  useTitle(shown);
  return (
    <ActProvider value={act}>
      <AskProvider value={askPerson}>
        <LinksProvider value={LINKS}>
          <button type="button" class="button skip" onClick={skip}>
            Skip to the content
          </button>
          <header class="top">
            <a class="brand" href="#/">
              Workflows
            </a>
            <Navigation view={shown.view} />
            <Connection />
          </header>
          <main id="content" tabIndex={-1}>
            <Page shown={shown} />
          </main>
          <Notices />
          {form && <ActionForm key={form.form.id} {...form} />}
        </LinksProvider>
      </AskProvider>
    </ActProvider>
  );
}

function Page({ shown }: { shown: Route }) {
  switch (shown.view) {
    case "run":
      return <RunPage id={shown.id} />;
    case "plan":
      return <PlanPage key={shown.id} id={shown.id} />;
    case "figures":
      return <FiguresPage query={shown.query} />;
    case "help":
      return <HelpPage />;
    case "nowhere":
      return (
        <p class="page">
          There is no such page. <a href="#/">To the board</a>
        </p>
      );
    default:
      return <BoardPage />;
  }
}

function Navigation({ view }: { view: Route["view"] }) {
  const needs = board.value?.totals.needs ?? 0;
  const current = (names: Route["view"][]) => (names.includes(view) ? "page" : undefined);
  return (
    <nav aria-label="Pages">
      <a href="#/" aria-current={current(["board"])}>
        Board
        {needs > 0 && (
          <span class="badge">
            {needs}
            <span class="hidden"> waiting for you</span>
          </span>
        )}
      </a>
      <a href="#/figures" aria-current={current(["figures"])}>
        Figures
      </a>
      <a href="#/help" aria-current={current(["help"])}>
        Keys
      </a>
    </nav>
  );
}

const TITLES: Record<Route["view"], string> = {
  board: "Board",
  plan: "Plan",
  run: "Run",
  figures: "Figures",
  help: "Keys",
  nowhere: "No such page",
};

/** What waits for a person stands in the tab's title, where it is seen from other tabs. */
function useTitle(shown: Route): void {
  const needs = board.value?.totals.needs ?? 0;
  useEffect(() => {
    const name = TITLES[shown.view];
    document.title = `${needs > 0 ? `(${needs}) ` : ""}${name} – Workflows`;
  }, [needs, shown.view]);
}

function skip(): void {
  document.getElementById("content")?.focus();
}
