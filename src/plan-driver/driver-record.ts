import { createHmac, randomBytes } from "node:crypto";
import * as z from "zod";
import { readRecord, removeRecord, writeRecord } from "../shared/record-file.js";
import { type DriverPlace, driverFiles } from "./driver-files.js";

const recordSchema = z.object({
  pid: z.number().int().positive(),
  began: z.string(),
  place: z.string(),
  version: z.string(),
  /** Epoch ms. */
  startedAt: z.number(),
  /** Of this driver alone, so that marks of two drivers tell nothing of their keys. */
  salt: z.string(),
  /** Tells whether a key is the driver's; see {@link markOfKey}. */
  keyMark: z.string(),
  /** The API has refused the key the last time that it was asked. */
  keyRefused: z.boolean(),
});

/** What a driver says of itself. It never has the key. */
export type DriverRecord = z.output<typeof recordSchema>;

/** The record, or undefined when there is none that can be understood. Never throws. */
export function readDriverRecord(place: DriverPlace): Promise<DriverRecord | undefined> {
  return readRecord(driverFiles(place).record, recordSchema);
}

/** Writes the record (0600), all of it or nothing. Only for the owner of the driver's lock. */
export function writeDriverRecord(place: DriverPlace, record: DriverRecord): void {
  writeRecord(driverFiles(place).record, record);
}

/** Removes the record, at once: whoever looks from now on knows that this driver may be ending. */
export function removeDriverRecord(place: DriverPlace): void {
  removeRecord(driverFiles(place).record);
}

/** A salt for {@link markOfKey}: 16 bytes in hex. */
export function newSalt(): string {
  return randomBytes(16).toString("hex");
}

/** Of a few bits: enough to tell two keys of a person apart, far too few to find out a key by trying. */
export function markOfKey(salt: string, key: string | undefined): string {
  return createHmac("sha256", salt)
    .update(key ?? "")
    .digest("hex")
    .slice(0, 6);
}
