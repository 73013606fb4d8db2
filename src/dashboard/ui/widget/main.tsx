import { render } from "preact";
import { keepTime } from "../now.js";
import { createAct } from "./act.js";
import { connectHost, type Host } from "./host.js";
import { answer, isOver, problem } from "./state.js";
import { listenToSubmits } from "./submits.js";
import { applyTheme } from "./theme.js";
import { readToolAnswer } from "./tool-answer.js";
import { type Watch, watchAbout } from "./watch.js";
import { Widget } from "./widget.js";
import "../style/base.css";
import "../style/parts.css";
import "../style/board.css";
import "../style/run.css";
import "../style/plan.css";
import "../style/widget.css";

const place = document.getElementById("app") as HTMLElement;
let watch: Watch | undefined;
/** What comes before there is something to tell it to. */
const early: ((watch: Watch) => void)[] = [];
const withWatch = (tell: (watch: Watch) => void) => (watch ? tell(watch) : early.push(tell));

function start(host: Host): void {
  const made = watchAbout(host);
  watch = made;
  for (const tell of early.splice(0)) tell(made);
  render(<Widget act={createAct(host, made.look)} />, place);
  const sizes = new ResizeObserver(() => {
    const { width, height } = document.documentElement.getBoundingClientRect();
    host.tellSize(Math.ceil(width), Math.ceil(height));
  });
  sizes.observe(document.documentElement);
  // Also tells when the chat has scrolled it away.
  new IntersectionObserver((seen) => {
    // A busy browser tells several moments at once, the oldest first: only the last is how it stands.
    made.setSeen(seen.at(-1)?.isIntersecting === true);
  }).observe(place);
}

keepTime();
listenToSubmits();
connectHost({
  onInput({ run_id, plan_id, session_name }) {
    const [about] = [{ run_id }, { plan_id }, { session_name }].filter(
      (one) => typeof Object.values(one)[0] === "string" && Object.values(one)[0] !== "",
    );
    if (about) withWatch((one) => one.about(about as { run_id: string }));
  },
  onResult(result) {
    const { runId, planId, text } = readToolAnswer(result);
    answer.value = text;
    isOver.value = true;
    if (planId) withWatch((one) => one.about({ plan_id: planId }));
    else if (runId) withWatch((one) => one.about({ run_id: runId }));
    else withWatch((one) => one.forget());
  },
  onCancelled() {
    isOver.value = true;
  },
  onContext: applyTheme,
  onEnd: () => watch?.stop(),
}).then(start, (error: Error) => {
  problem.value = error.message;
});
