/** What all reports say in the same words. */

export const interruptedText = "It was interrupted: cells are missing, or have fewer rounds.";
export const failuresTitle = "Could not run, or not to the end";
