import type { ILauncher } from '@jupyterlab/launcher';
import type { IDisposable } from '@lumino/disposable';
import type { ICourseModel } from '../tokens';
import { CommandIDs } from '../tokens';

/** One card, "Continue with 03 Activations". The launcher reads a label once, so a new label needs a new card. */
export function addLauncherCard(launcher: ILauncher, model: ICourseModel): void {
  let card: IDisposable | null = null;
  let shown: string | null = null;
  model.stateChanged.connect(() => {
    const wanted = model.course ? `${model.course.workspace} ${model.course.next.text}` : null;
    if (wanted !== shown) {
      shown = wanted;
      card?.dispose();
      card = wanted
        ? launcher.add({
            command: CommandIDs.openNext,
            category: 'TinyTorch',
            categoryRank: -1,
            rank: 0
          })
        : null;
    }
  });
}
