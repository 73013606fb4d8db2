import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import type { PlanEdge, PlanNode } from "../../views/plan.js";
import { layOut, NODE } from "./lay-out.js";
import { MoreBeside, useOverflow } from "./overflow.js";
import { lookOf, StatusMark } from "./status.js";

export interface PlanGraphProps {
  nodes: readonly PlanNode[];
  edges: readonly PlanEdge[];
  /** The step whose details are shown beside it. */
  chosen: string | undefined;
  onChoose(id: string): void;
}

const NARROW = "(max-width: 700px)";

/** The steps of a plan and what needs what. */
export function PlanGraph({ nodes, edges, chosen, onChoose }: PlanGraphProps) {
  const down = useMatch(NARROW);
  const arrow = useId();
  // Only what the plan consists of moves anything; a step's state does not.
  const shape = JSON.stringify([nodes.map(({ id }) => id), edges, down]);
  const placed = useMemo(() => layOut(nodes, edges, down), [shape]);
  const before = (id: string) => edges.filter(({ to, kind }) => to === id && kind === "needs");
  const frame = useRef<HTMLElement>(null);
  const { isWide } = useOverflow(frame);
  return (
    <>
      <MoreBeside isWide={isWide} />
      <section ref={frame} class="graph" tabIndex={isWide ? 0 : undefined} aria-label="Graph of the steps">
        <div class="graph-paper" style={{ width: `${placed.width}px`, height: `${placed.height}px` }}>
          <svg width={placed.width} height={placed.height} aria-hidden="true">
            <defs>
              <marker
                id={arrow}
                viewBox="0 0 8 8"
                refX="7"
                refY="4"
                markerWidth="7"
                markerHeight="7"
                orient="auto"
              >
                <path d="M0,0 L8,4 L0,8 z" class="graph-arrow" />
              </marker>
            </defs>
            {placed.edges.map(({ key, kind, path }) => (
              <path key={key} d={path} class={`edge edge-${kind}`} marker-end={`url(#${arrow})`} />
            ))}
          </svg>
          <ol class="plain">
            {nodes.map((node) => {
              const { x, y } = placed.at.get(node.id) ?? { x: 0, y: 0 };
              const needs = before(node.id).map(({ from }) => from);
              return (
                <li key={node.id}>
                  <button
                    type="button"
                    class={`node node-${node.kind} tone-${lookOf(node.status).tone} ${node.status}`}
                    aria-pressed={node.id === chosen}
                    style={{
                      transform: `translate(${x}px, ${y}px)`,
                      width: `${NODE.width}px`,
                      height: `${NODE.height}px`,
                    }}
                    onClick={() => onChoose(node.id)}
                  >
                    <span class="node-head">
                      <StatusMark status={node.status} />
                      <strong>{node.id}</strong>
                    </span>
                    <small class="node-about">
                      {node.kind === "run" ? node.about : node.kind}
                      {node.kind === "gate" && node.attempt > 1 && ` · opening ${node.attempt}`}
                    </small>
                    <small class="node-state">
                      {lookOf(node.status).word}
                      {node.items && ` · ${node.items.done} of ${node.items.of}`}
                      {node.kind !== "gate" && node.attempt > 1 && ` · attempt ${node.attempt}`}
                    </small>
                    {needs.length > 0 && <span class="hidden">, needs {needs.join(", ")}</span>}
                  </button>
                </li>
              );
            })}
          </ol>
        </div>
      </section>
    </>
  );
}

function useMatch(query: string): boolean {
  const [matches, setMatches] = useState(() => window.matchMedia(query).matches);
  useEffect(() => {
    const list = window.matchMedia(query);
    const take = () => setMatches(list.matches);
    list.addEventListener("change", take);
    return () => list.removeEventListener("change", take);
  }, [query]);
  return matches;
}
