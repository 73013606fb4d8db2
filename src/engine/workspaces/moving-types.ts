/** What a session has committed, for another machine that goes on with it. */
export interface PackedWork {
  /**
   * `bundle`: its commits are packed; `pushed`: the repository has them; `large`: they are more bytes than may be packed;
   * `base`: there are none that the base has not.
   */
  kind: "bundle" | "pushed" | "large" | "base";
  /** The repository's address, as the session knows it. */
  repository: string;
  /** The session's branch; missing where it is on none. */
  branch?: string;
  /** The branch that it was made from. */
  baseBranch?: string;
  /** Where the two parted. */
  baseCommit?: string;
  /** The newest commit. */
  tip?: string;
  /** How many there are beyond the base. */
  commits: number;
  /** The session was given the branch, and has not asked for it. */
  isOwn: boolean;
  /** The branch of the repository that has the commits. */
  deliveredAs?: string;
  /** The commit with what the person had not committed when the session began. */
  ownCommit?: string;
  /** Of the bundle, also of one that is too large. */
  bytes: number;
}

/** A session that goes on here, and has worked on another machine before. */
export interface MovedWork {
  /** What it has committed there; undefined where that is not known. */
  work?: PackedWork;
  /** Writes the bundle to a file that is not there yet. */
  writeBundle?: (file: string) => Promise<void>;
  /** The branch that it was to begin at, where nothing is known of its work. */
  startFrom?: string | undefined;
}

/** What a session that goes on elsewhere has left here. */
export interface SetAside {
  /** Its folder. */
  path: string;
  /** The branch that has what it had committed here, where there is one. */
  branch?: string;
}
