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
    <path d="M8 .7c.6 1.7 3.6 3 3.6 5.9A3.6 3.6 0 0 1 8 10.2a3.6 3.6 0 0 1-3.6-3.6c0-1.5.8-2.3 1.5-3.2.2.9.6 1.3 1.2 1.6C7 3.3 7.3 2 8 .7Z"/>
    <path d="M5.6 11.3h4.8l-.5 1.3H6.1zM6.4 13.2h3.2L9 15.4H7z"/>
  </g>`
);

export const checkIcon = draw(
  'check',
  `<g class="jp-icon3" stroke="#616161" ${line}><path d="m2.5 8.5 3.6 3.6 7.4-8"/></g>`
);

const state = (body: string): string => `<g stroke="currentColor" ${line}>${body}</g>`;

/** States and outcomes: each has its own shape, so that no colour is needed to read it. */
export const stateIcons: { readonly [state: string]: LabIcon } = {
  complete: draw(
    'complete',
    '<circle cx="8" cy="8" r="7" fill="currentColor"/><path d="m4.8 8.3 2.2 2.2 4.2-4.7" stroke="var(--jp-layout-color1)" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round"/>'
  ),
  available: draw('available', state('<circle cx="8" cy="8" r="6.25"/>')),
  current: draw(
    'current',
    `${state('<circle cx="8" cy="8" r="6.25"/>')}<circle cx="8" cy="8" r="3" fill="currentColor"/>`
  ),
  checking: draw('checking', state('<path d="M8 1.75A6.25 6.25 0 1 1 1.75 8"/>')),
  locked: draw(
    'locked',
    state(
      '<rect x="3.5" y="7" width="9" height="6.75" rx="1.25"/><path d="M5.5 7V5a2.5 2.5 0 0 1 5 0v2"/>'
    )
  ),
  coming: draw('coming', state('<circle cx="8" cy="8" r="6.25" stroke-dasharray="1.5 3"/>')),
  passed: draw('passed', state('<path d="m3 8.5 3.3 3.3L13 4.5"/>')),
  failed: draw('failed', state('<path d="m4 4 8 8M12 4l-8 8"/>')),
  not_attempted: draw(
    'not-attempted',
    state('<circle cx="8" cy="8" r="4.5" stroke-dasharray="2 2.7"/>')
  ),
  error: draw('error', state('<path d="M8 3v6"/><path d="M8 12.7v.01"/>')),
  missing: draw(
    'missing',
    state('<path d="M5.5 6a2.5 2.5 0 1 1 3.6 2.2C8.3 8.6 8 9 8 10M8 13v.01"/>')
  ),
  cancelled: draw('cancelled', state('<circle cx="8" cy="8" r="6"/><path d="m4 12 8-8"/>')),
  interrupted: draw('interrupted', state('<path d="M5.5 3.5v9M10.5 3.5v9"/>'))
};
