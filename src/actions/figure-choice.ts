import { join } from "node:path";
import * as z from "zod";
import { GROUPINGS } from "../history/group-figures.js";
import { ensurePrivateFolder } from "../shared/private-files.js";
import { readRecord, writeRecord } from "../shared/record-file.js";

export const MEASURES = ["all", "runs", "success", "cost", "turns", "time", "waiting"] as const;

const choiceSchema = z.object({
  by: z.enum(GROUPINGS),
  figure: z.enum(MEASURES),
  /** 0 for everything. */
  days: z.number().int().min(0).max(3_650),
});

/** Which figures, of which time, in which groups. */
export type FigureChoice = z.output<typeof choiceSchema>;

/** What a person has chosen last, when they were asked which figures they want. */
export interface FigureChoices {
  /** Never throws. */
  last(): Promise<FigureChoice | undefined>;
  /** Never throws: where it cannot be written, it holds until this process ends. */
  keep(choice: FigureChoice): Promise<void>;
}

const FILE = "figures-choice.json";

/**
 * Keeps it in a file of the state folder, so that it holds in every window and after a restart.
 * @param folder the state folder of one person; undefined where several share a server: then only in memory
 */
export function createFigureChoices(folder: string | undefined): FigureChoices {
  let own: FigureChoice | undefined;
  return {
    last: async () => (folder && (await readRecord(join(folder, FILE), choiceSchema))) || own,
    async keep(choice) {
      own = choice;
      if (!folder) return;
      try {
        await ensurePrivateFolder(folder);
        writeRecord(join(folder, FILE), choice);
      } catch {
        // It is asked again, and nothing else depends on it.
      }
    },
  };
}
