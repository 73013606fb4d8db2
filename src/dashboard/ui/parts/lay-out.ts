import { Graph, layout } from "@dagrejs/dagre";
import type { PlanEdge, PlanNode } from "../../views/plan.js";

export const NODE = { width: 166, height: 74 };
const GAP = { ranks: 38, nodes: 22, margin: 14 };

export interface Placed {
  width: number;
  height: number;
  /** Left upper corners, by the ids of the steps. */
  at: ReadonlyMap<string, { x: number; y: number }>;
  edges: { key: string; kind: PlanEdge["kind"]; path: string }[];
}

/**
 * Where the steps of a plan stand and how its lines run. Lines back take no part in it: they would turn the order of
 * the steps around.
 * @param down from top to bottom, for narrow screens; else from left to right
 */
export function layOut(nodes: readonly PlanNode[], edges: readonly PlanEdge[], down: boolean): Placed {
  const graph = new Graph();
  graph.setGraph({
    rankdir: down ? "TB" : "LR",
    ranksep: GAP.ranks,
    nodesep: GAP.nodes,
    marginx: GAP.margin,
    marginy: GAP.margin,
  });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { id } of nodes) graph.setNode(id, { ...NODE });
  for (const { from, to, kind } of edges) if (kind === "needs") graph.setEdge(from, to);
  layout(graph);
  const size = graph.graph() as { width?: number; height?: number };
  const centres = new Map(nodes.map(({ id }) => [id, graph.node(id) as { x: number; y: number }]));
  const lines = edges.map((edge) => ({
    key: `${edge.kind} ${edge.from} ${edge.to}`,
    kind: edge.kind,
    path:
      edge.kind === "needs"
        ? smooth((graph.edge(edge.from, edge.to) as { points: Point[] }).points)
        : backwards(centres.get(edge.from), centres.get(edge.to), down),
  }));
  const hasBack = edges.some(({ kind }) => kind === "back");
  return {
    width: (size.width ?? 0) + (hasBack && down ? BACK_ROOM : 0),
    height: (size.height ?? 0) + (hasBack && !down ? BACK_ROOM : 0),
    at: new Map(
      [...centres].map(([id, { x, y }]) => [id, { x: x - NODE.width / 2, y: y - NODE.height / 2 }]),
    ),
    edges: lines,
  };
}

interface Point {
  x: number;
  y: number;
}

/** Below, or beside, the steps: there lines back run. */
const BACK_ROOM = 30;

function smooth(points: readonly Point[]): string {
  const [first, ...rest] = points;
  const last = rest.at(-1);
  if (!first || !last) return "";
  let path = `M${first.x},${first.y}`;
  for (let at = 0; at < rest.length - 1; at += 1) {
    const [here, next] = [rest[at] as Point, rest[at + 1] as Point];
    path += ` Q${here.x},${here.y} ${(here.x + next.x) / 2},${(here.y + next.y) / 2}`;
  }
  return `${path} L${last.x},${last.y}`;
}

function backwards(from: Point | undefined, to: Point | undefined, down: boolean): string {
  if (!from || !to) return "";
  if (down) {
    const [x, out] = [NODE.width / 2, NODE.width / 2 + BACK_ROOM];
    return `M${from.x + x},${from.y} C${from.x + out},${from.y} ${to.x + out},${to.y} ${to.x + x},${to.y}`;
  }
  const y = NODE.height / 2;
  const out = Math.max(from.y, to.y) + y + BACK_ROOM;
  return `M${from.x},${from.y + y} C${from.x},${out} ${to.x},${out} ${to.x},${to.y + y}`;
}
