/** The end of an engine that lets go on what goes on. */
export interface Drain {
  /** From now on nothing more begins. Resolves when nothing goes on any more. */
  begin(): Promise<void>;
  isDraining(): boolean;
  /** Something has ended. */
  look(): void;
}

/** @param goesOn whether something does, at the moment */
export function createDrain(goesOn: () => boolean): Drain {
  let isDraining = false;
  let tell: () => void = () => {};
  const over = new Promise<void>((resolve) => {
    tell = resolve;
  });

  function look(): void {
    if (isDraining && !goesOn()) tell();
  }

  return {
    begin() {
      isDraining = true;
      look();
      return over;
    },
    isDraining: () => isDraining,
    look,
  };
}
