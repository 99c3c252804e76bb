// Generated from tinytorch_core/report.py by `jlpm types`. Do not edit by hand.

/**
 * One attempt, judged. While it runs, `state` is queued or running and `verdict` is null.
 */
export interface Report {
  readonly attempt: string;
  readonly module: string;
  readonly state: 'done' | 'queued' | 'running';
  readonly verdict: 'cancelled' | 'error' | 'failed' | 'interrupted' | 'passed' | null;
  readonly seconds: number;
  readonly notebook_sha256: string;
  readonly message: string;
  readonly blame: Blame | null;
  readonly stages: readonly Stage[];
  readonly cell_failure: CellFailure | null;
  readonly unlocked: Unlocked;
  readonly isolation: string;
  readonly recorded: boolean;
  readonly started: number;
  readonly timings: { readonly [key: string]: number };
}

/**
 * Where to look first: the module whose code is at fault, and the exercise or cell in it, where known.
 */
export interface Blame {
  readonly module: string;
  readonly exercise: string | null;
  readonly cell: string | null;
  readonly message: string;
}

export interface Stage {
  readonly name: string;
  readonly checks: readonly CheckResult[];
}

/**
 * What one check said. `message` reads: what was called, what came back, what was expected.
 */
export interface CheckResult {
  readonly id: string;
  readonly exercise: string;
  readonly title: string;
  readonly outcome: 'error' | 'failed' | 'missing' | 'not_attempted' | 'passed';
  readonly message: string;
  readonly hint: string;
  readonly seconds: number;
  readonly cell: string | null;
}

/**
 * The first cell of the notebook that did not run. `index` counts from 0, over all cells.
 */
export interface CellFailure {
  readonly index: number;
  readonly id: string;
  readonly error: string;
  readonly message: string;
  readonly traceback: string;
  readonly hint: string;
}

export interface Unlocked {
  readonly modules: readonly string[];
  readonly historical: readonly string[];
  readonly milestones: readonly string[];
}

/**
 * One step of a grading. `seq` counts from 0 in each attempt; a client that missed one reads the attempt.
 *
 * cell: `index` (0-based over the notebook) of `total`, `outcome` running | passed | failed; `cell` is its id
 * check: `check` id, `exercise`, `outcome`, `title`; index/total count the checks judged so far
 * stage: `stage` begins
 * verdict: `verdict` and `message`
 */
export interface Progress {
  readonly attempt: string;
  readonly module: string;
  readonly seq: number;
  readonly kind: 'cell' | 'check' | 'queued' | 'stage' | 'verdict';
  readonly stage: string;
  readonly index: number;
  readonly total: number;
  readonly cell: string;
  readonly check: string;
  readonly exercise: string;
  readonly title: string;
  readonly outcome: string;
  readonly verdict: string;
  readonly message: string;
}

/**
 * The state of the course in one workspace: the body of GET course and of `tito status --json`.
 */
export interface CourseView {
  readonly title: string;
  readonly version: string;
  readonly workspace: string | null;
  readonly next: NextStep;
  readonly completed: number;
  readonly modules: readonly ModuleView[];
  readonly milestones: readonly MilestoneView[];
  readonly historical: readonly HistoricalView[];
  readonly built: Built | null;
}

/**
 * What the student does next. `text` is the words on the button: "Continue with 03 Activations".
 */
export interface NextStep {
  readonly kind: 'coming' | 'done' | 'historical' | 'module';
  readonly id: string;
  readonly title: string;
  readonly text: string;
}

export interface ModuleView {
  readonly id: string;
  readonly number: number;
  readonly title: string;
  readonly state: 'available' | 'checking' | 'complete' | 'locked';
  readonly edited: boolean;
  readonly capability: string;
  readonly discovery: string;
  readonly achievement: string;
  readonly notebook: string;
  readonly exercises: readonly ExerciseView[];
  readonly coming: boolean;
  readonly attempt: string | null;
}

export interface ExerciseView {
  readonly id: string;
  readonly title: string;
  readonly state: 'failed' | 'not_attempted' | 'passed';
  readonly hints: number;
}

export interface MilestoneView {
  readonly id: string;
  readonly title: string;
  readonly name: string;
  readonly year: number;
  readonly module: string;
  readonly earned: boolean;
}

export interface HistoricalView {
  readonly id: string;
  readonly title: string;
  readonly year: number;
  readonly state: 'available' | 'locked';
  readonly notebook: string;
  readonly summary: string;
  readonly module: string;
  readonly milestone: string;
  readonly coming: boolean;
}

/**
 * What a student has built, when every module is complete, in their own numbers.
 */
export interface Built {
  readonly lines: number;
  readonly operations: number;
  readonly parameters: number;
  readonly days: number;
}
