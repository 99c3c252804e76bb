import { LabIcon } from '@jupyterlab/ui-components';

/** Every drawing is made for a 16 × 16 grid and takes its colours from public variables. */
function draw(name: string, body: string): LabIcon {
  return new LabIcon({
    name: `tinytorch:${name}`,
    svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16" fill="none">${body}</svg>`
  });
}

const line = 'stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round"';

/** A torch whose flame is a small network: three nodes and the edges between them. */
export const tinytorchIcon = draw(
  'logo',
  `<g class="jp-icon3 jp-icon-selectable" fill="#616161">
    <path d="M8 .7c.6 1.7 3.6 3 3.6 5.9A3.6 3.6 0 0 1 8 10.200a3.6 3.6 0 0 1-3.600-3.600c0-1.500.8-2.300 1.500-3.200.2.9.6 1.300 1.200 1.600C7 3.300 7.300 2 8 .7Z"/>
    <path d="M5.600 11.300h4.800l-.5 1.300H6.100zM6.400 13.200h3.200L9 15.400H7z"/>
  </g>`
);

export const checkIcon = draw(
  'check',
  `<g class="jp-icon3" stroke="#616161" ${line}><path d="m2.500 8.500 3.600 3.600 7.400-8"/></g>`
);

const state = (body: string): string => `<g stroke="currentColor" ${line}>${body}</g>`;

/** States and outcomes: each has its own shape, so that no colour is needed to read it. */
export const stateIcons: { readonly [state: string]: LabIcon } = {
  complete: draw(
    'complete',
    '<circle cx="8" cy="8" r="7" fill="currentColor"/><path d="m4.800 8.300 2.200 2.200 4.200-4.700" stroke="var(--jp-layout-color1)" stroke-width="1.700" stroke-linecap="round" stroke-linejoin="round"/>'
  ),
  available: draw('available', state('<circle cx="8" cy="8" r="6.250"/>')),
  current: draw(
    'current',
    `${state('<circle cx="8" cy="8" r="6.250"/>')}<circle cx="8" cy="8" r="3" fill="currentColor"/>`
  ),
  checking: draw('checking', state('<path d="M8 1.750A6.250 6.250 0 1 1 1.750 8"/>')),
  locked: draw(
    'locked',
    state(
      '<rect x="3.500" y="7" width="9" height="6.750" rx="1.250"/><path d="M5.500 7V5a2.500 2.500 0 0 1 5 0v2"/>'
    )
  ),
  coming: draw('coming', state('<circle cx="8" cy="8" r="6.250" stroke-dasharray="1.500 3"/>')),
  passed: draw('passed', state('<path d="m3 8.500 3.300 3.300L13 4.500"/>')),
  failed: draw('failed', state('<path d="m4 4 8 8M12 4l-8 8"/>')),
  not_attempted: draw(
    'not-attempted',
    state('<circle cx="8" cy="8" r="4.500" stroke-dasharray="2 2.700"/>')
  ),
  error: draw('error', state('<path d="M8 3v6"/><path d="M8 12.700v.01"/>')),
  missing: draw(
    'missing',
    state('<path d="M5.500 6a2.500 2.500 0 1 1 3.600 2.200C8.300 8.600 8 9 8 10M8 13v.01"/>')
  ),
  cancelled: draw('cancelled', state('<circle cx="8" cy="8" r="6"/><path d="m4 12 8-8"/>')),
  interrupted: draw('interrupted', state('<path d="M5.500 3.500v9M10.500 3.500v9"/>'))
};
