import type { LinkedIssue } from "../shared/linked-issue.js";
import type { IssueTask } from "./quote-task.js";

/** An issue that somebody has named as a task. */
export interface NamedIssue {
  /** How it was named, as people call it: `acme/shop#12`. */
  name: string;
  /** What the person has written below it. */
  words: string;
  /**
   * Reads it, which may take some seconds.
   * @throws Error with words for a person: what is wrong and what to do; nothing was changed anywhere
   */
  read(signal: AbortSignal): Promise<ReadIssue>;
}

export interface ReadIssue {
  task: IssueTask;
  /** The repository that it is in, where it is in one; as git takes it. */
  repositoryUrl?: string;
  /** By which it is kept up to date while the work goes on, where its service is. */
  link?: LinkedIssue;
}

/** A service whose issues can be tasks. */
export interface IssueSource {
  /**
   * The issue that a message is about; undefined for any other message. Nothing is sent for that.
   * @param place the repository that the work is to be done in, as far as it is known: an address or a folder's remote
   */
  find(message: string, place: () => Promise<string | undefined>): Promise<NamedIssue | undefined>;
}
