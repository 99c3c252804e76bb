import importX from 'eslint-plugin-import-x';
import reactHooks from 'eslint-plugin-react-hooks';
import tseslint from 'typescript-eslint';

const source = 'labextension/src';

/** Imports look down only: each room may use the rooms above it in this list. `index.ts` puts them together. */
const rooms = [
  ['schema.ts', 'tokens.ts', 'version.ts'],
  ['api.ts', 'words.ts', 'icons.ts'],
  ['problems.ts', 'run.ts'],
  ['grading.ts'],
  ['model.ts'],
  ['notebook', 'report'],
  ['actions.ts', 'context.ts'],
  ['commands.ts'],
  ['sidebar', 'widgets', 'shell'],
  ['index.ts']
];
const down = rooms.slice(0, -1).flatMap((room, level) =>
  room.map(target => ({
    target: `${source}/${target}`,
    from: rooms
      .slice(level + 1)
      .flat()
      .map(later => `${source}/${later}`),
    message: 'Imports look down only; the order is in eslint.config.mjs.'
  }))
);
const doors = ['sidebar', 'widgets', 'shell'];
const apart = doors.map(door => ({
  target: `${source}/${door}`,
  from: doors.filter(other => other !== door).map(other => `${source}/${other}`),
  message: 'Front doors never meet.'
}));

export default tseslint.config(
  { ignores: ['**/node_modules', 'labextension/lib', 'tinytorch_core', `${source}/schema.ts`] },
  ...tseslint.configs.recommended,
  reactHooks.configs.flat['recommended-latest'],
  {
    plugins: { 'import-x': importX },
    settings: { 'import-x/resolver': { node: { extensions: ['.ts', '.tsx'] } } },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-namespace': 'off',
      'import-x/no-cycle': 'error',
      'import-x/no-restricted-paths': ['error', { zones: [...down, ...apart] }],
      eqeqeq: 'error',
      'prefer-arrow-callback': 'error'
    }
  },
  { files: ['labextension/ui-tests/**'], rules: { 'react-hooks/rules-of-hooks': 'off' } }, // Playwright's `use` is no hook
  {
    files: [`${source}/**/*.{ts,tsx}`],
    languageOptions: { parserOptions: { project: 'labextension/tsconfig.test.json' } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error'
    }
  }
);
