import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import type { ICourseModel } from '../tokens';
import { PLUGIN } from '../tokens';

/** Keep the model's preferences equal to what the settings editor says. */
export async function followPreferences(
  registry: ISettingRegistry,
  model: ICourseModel
): Promise<void> {
  const settings = await registry.load(PLUGIN);
  const read = (): void => {
    model.preferences = {
      celebrate: settings.composite.celebrate !== false,
      notifications: settings.composite.notifications !== false
    };
  };
  settings.changed.connect(read);
  read();
}
