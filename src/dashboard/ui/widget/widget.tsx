import { useEffect, useRef } from "preact/hooks";
import type { WidgetView } from "../../views/widget.js";
import { ActionForm } from "../parts/action-form.js";
import type { Act } from "../parts/doing.js";
import { ActProvider, AskProvider } from "../parts/doing.js";
import { PlanCard } from "./plan-card.js";
import { RunCard } from "./run-card.js";
import { answer, askPerson, isOver, openForm, problem, told, view } from "./state.js";

/** The run or plan of one call in the chat; of a call that was about neither, what it answered. */
export function Widget({ act }: { act: Act }) {
  return (
    <ActProvider value={act}>
      <AskProvider value={askPerson}>
        <main class={openForm.value ? "widget widget-asks" : "widget"}>
          <Shown shown={view.value} />
          {problem.value && <p class="problem banner told">{problem.value}</p>}
          <Told />
          {openForm.value && <ActionForm {...openForm.value} />}
        </main>
      </AskProvider>
    </ActProvider>
  );
}

function Shown({ shown }: { shown: WidgetView | undefined }) {
  if (shown?.run) return <RunCard run={shown.run} />;
  if (shown?.plan) return <PlanCard plan={shown.plan} />;
  if (answer.value) return <p class="told">{answer.value}</p>;
  return <p class="muted">{isOver.value ? "The call was given up." : "Waiting for what it is about…"}</p>;
}

/** What came of the last thing that was done here; heard by screen readers, and in sight where the page scrolls. */
function Told() {
  const outcome = told.value;
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (outcome) place.current?.scrollIntoView({ block: "nearest" });
  }, [outcome]);
  return (
    <div aria-live="polite" ref={place}>
      {outcome && (
        <div class={`notice ${outcome.ok ? "" : "notice-bad"}`}>
          <p class="told">
            <strong>{outcome.ok ? "Done. " : "Not done. "}</strong>
            {outcome.text}
          </p>
        </div>
      )}
    </div>
  );
}
