import type { ICommandPalette } from '@jupyterlab/apputils';
import { InputDialog, showErrorMessage } from '@jupyterlab/apputils';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { Actions } from './actions';
import { tinytorchIcon } from './icons';
import type { Notebooks } from './notebook/notebooks';
import type { HistoricalView, ModuleView } from './schema';
import type { ICourseModel } from './tokens';
import { CommandIDs } from './tokens';
import { isActive, label, messageOf, RESTORE } from './words';

type Args = ReadonlyPartialJSONObject;

const CATEGORY = 'TinyTorch';
const IN_PALETTE = [
  CommandIDs.showSidebar,
  CommandIDs.openNext,
  CommandIDs.openModule,
  CommandIDs.openExample,
  CommandIDs.complete,
  CommandIDs.check,
  CommandIDs.cancel,
  CommandIDs.reset
];

export namespace Commands {
  export interface IOptions {
    readonly commands: CommandRegistry;
    readonly palette: ICommandPalette | null;
    readonly model: ICourseModel;
    readonly notebooks: Notebooks;
    readonly actions: Actions;
  }
}

/** Registers every command. The menu, the palette, the launcher and all buttons go through these. */
export function addCommands(options: Commands.IOptions): void {
  const { commands, palette, model } = options;
  addCourseCommands(options);
  addModuleCommands(options);
  announceChanges(commands, model);
  IN_PALETTE.forEach(command => palette?.addItem({ command, category: CATEGORY }));
}

/** Labels and what is enabled depend on the course and on which run is active, not on every step of a run. */
function announceChanges(commands: CommandRegistry, model: ICourseModel): void {
  let course = model.course;
  let active = model.active?.serial;
  model.stateChanged.connect(() => {
    if (model.course !== course || model.active?.serial !== active) {
      course = model.course;
      active = model.active?.serial;
      Object.values(CommandIDs).forEach(id => commands.notifyCommandChanged(id));
    }
  });
}

/** What belongs to the course as a whole. */
function addCourseCommands({ commands, model, actions }: Commands.IOptions): void {
  const add = (id: string, options: CommandRegistry.ICommandOptions): void =>
    void commands.addCommand(id, { ...options, execute: guarded(options.execute) });

  add(CommandIDs.showSidebar, {
    label: 'Show TinyTorch',
    icon: tinytorchIcon,
    execute: () => actions.showSidebar()
  });
  add(CommandIDs.start, {
    label: 'Start the course',
    icon: tinytorchIcon,
    execute: () => actions.start(),
    isEnabled: () => model.course !== null
  });
  add(CommandIDs.openNext, {
    label: () => nextLabel(model),
    caption: () => nextLabel(model),
    icon: tinytorchIcon,
    execute: () => actions.openNext()
  });
  add(CommandIDs.openModule, {
    label: 'Open module…',
    execute: async args => {
      const id = text(args.module) || (await chooseModule(model));
      return id ? actions.openModule(id) : null;
    },
    isEnabled: () => Boolean(model.course?.workspace)
  });
  add(CommandIDs.openExample, {
    label: args => exampleLabel(model, text(args.historical)),
    execute: async args => {
      const id = text(args.historical) || (await chooseExample(model));
      return id ? actions.openExample(id) : null;
    },
    isEnabled: () => examples(model).length > 0
  });
  add(CommandIDs.cancel, {
    label: 'Cancel checking',
    execute: args => model.cancel(text(args.module) || (model.active?.module ?? '')),
    isEnabled: () => model.active !== null
  });
  add(CommandIDs.reveal, {
    label: 'Show cell',
    execute: args => actions.reveal(text(args.module), text(args.cell) || null, text(args.exercise))
  });
}

/** What is done with one module: the one that is named, or that of the notebook in front, or the next one. */
function addModuleCommands({ commands, model, notebooks, actions }: Commands.IOptions): void {
  const meant = (args: Args): ModuleView | null => {
    const id = text(args.module) || notebooks.moduleOf(notebooks.current) || model.course?.next.id;
    const module = model.module(id ?? '');
    return module && module.state !== 'locked' ? module : null;
  };
  const add = (
    id: string,
    words: string,
    execute: (module: ModuleView, args: Args) => unknown,
    isEnabled: (module: ModuleView) => boolean = () => true
  ): void =>
    void commands.addCommand(id, {
      label: words,
      execute: guarded(args => {
        const module = meant(args);
        return module && execute(module, args);
      }),
      isEnabled: args => {
        const module = meant(args);
        return module !== null && isEnabled(module);
      }
    });
  const idle = (m: ModuleView): boolean => m.state !== 'checking' && !isActive(model.run(m.id));
  const complete = ({ state }: ModuleView): boolean => state === 'complete';
  const completeModule = async (module: ModuleView, args: Args): Promise<void> => {
    if (!args.quiet) {
      actions.showSidebar();
    }
    await actions.complete(module, false, text(args.path) || undefined);
  };

  add(CommandIDs.complete, 'Complete module', completeModule, idle);
  add(CommandIDs.check, 'Check only', m => actions.complete(m, true), idle);
  add(CommandIDs.restore, RESTORE, m => actions.restore(m), idle);
  add(CommandIDs.reset, 'Reset notebook…', m => actions.reset(m), idle);
  add(CommandIDs.attempts, 'Attempts…', m => actions.attempts(m));
  add(CommandIDs.changes, 'My changes', m => actions.changes(m));
  add(CommandIDs.solution, 'Solution', m => actions.solution(m), complete);
  add(CommandIDs.compare, 'Compare with the solution', m => actions.compare(m), complete);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Errors are shown in words, where the student is. */
function guarded(execute: (args: Args) => unknown): (args: Args) => Promise<unknown> {
  return async args => {
    try {
      return await execute(args);
    } catch (error) {
      if (error !== undefined) {
        await showErrorMessage('TinyTorch', messageOf(error)); // undefined: a dialog that was swept away
      }
      return null;
    }
  };
}

function nextLabel(model: ICourseModel): string {
  const { course } = model;
  return course?.workspace ? course.next.text : 'Start TinyTorch';
}

function examples(model: ICourseModel): readonly HistoricalView[] {
  return model.course?.historical.filter(h => h.state === 'available') ?? [];
}

function exampleLabel(model: ICourseModel, id: string): string {
  const example = examples(model).find(h => h.id === id);
  return example ? `Open ${example.title} (${example.year})` : 'Open historical notebook…';
}

async function chooseModule(model: ICourseModel): Promise<string | null> {
  const modules = model.course?.modules.filter(m => m.state !== 'locked') ?? [];
  const { value } = await InputDialog.getItem({ title: 'Open module', items: modules.map(label) });
  return modules.find(m => label(m) === value)?.id ?? null;
}

async function chooseExample(model: ICourseModel): Promise<string | null> {
  const found = examples(model);
  const items = found.map(h => `${h.title} (${h.year})`);
  const { value } = await InputDialog.getItem({ title: 'Open historical notebook', items });
  return found[items.indexOf(value ?? '')]?.id ?? null;
}
