import * as React from 'react';

/** A perceptron: inputs that meet in one threshold. */
const build = (
  <>
    <path d="M13 15 23 22M13 24h10M13 33l10-7" />
    <circle cx="12" cy="14.5" r="1.7" className="jp-mod-full" />
    <circle cx="12" cy="24" r="1.7" className="jp-mod-full" />
    <circle cx="12" cy="33.5" r="1.7" className="jp-mod-full" />
    <circle cx="27" cy="24" r="4.5" />
    <path d="M25 26h2v-4h2M31.5 24H37" />
  </>
);

/** XOR: two classes on opposite corners, and the curve that no single line can be. */
const learn = (
  <>
    <path d="M11 28C18 27 21 21 22 11M26 37c1-9 5-15 11-17" />
    <circle cx="15.5" cy="15.5" r="2.6" className="jp-mod-full" />
    <circle cx="32.5" cy="32.5" r="2.6" className="jp-mod-full" />
    <circle cx="32.5" cy="15.5" r="2.6" />
    <circle cx="15.5" cy="32.5" r="2.6" />
  </>
);

/** LeNet: a window that slides over a picture and gives one number. */
const see = (
  <>
    <path d="M10 14h18v18H10zM16 14v18M22 14v18M10 20h18M10 26h18" strokeWidth="1.1" />
    <path d="M16 20h12v12H16z" strokeWidth="2" />
    <path d="M28 20l6 4M28 32l6-4" strokeWidth="1.1" />
    <path d="M33 22.5h5v5h-5z" className="jp-mod-full" />
  </>
);

/** AlexNet: a deep stack, each block smaller and thicker than the one before. */
const scale = (
  <>
    <path d="M10 16l3-2.5h3L13 16zM10 16v18h3V16M16 13.5v18L13 34" />
    <path d="M19 19l3-2.5h4L23 19zM19 19v13h4V19M26 16.5v13L23 32" />
    <path d="M29 22.5l3-2.5h6l-3 2.5zM29 22.5V30h6v-7.5M38 20v7.5L35 30" />
  </>
);

/** GPT: each token looks back at those before it. */
const transform = (
  <>
    <path d="M34 29C34 10 13 10 13 29M34 29c0-12-14-12-14 0M34 29c0-6-7-6-7 0" />
    <path d="M11 30h4v4h-4zM18 30h4v4h-4zM25 30h4v4h-4z" />
    <path d="M32 30h4v4h-4z" className="jp-mod-full" />
  </>
);

const DRAWINGS: { readonly [milestone: string]: JSX.Element } = {
  build,
  learn,
  see,
  scale,
  transform
};

const COIN = 'M24 2.5 42.6 13.25v21.5L24 45.5 5.4 34.75v-21.5Z';

export namespace Emblem {
  export interface IProps {
    readonly milestone: string;
    readonly earned: boolean;
  }
}

/** A milestone's drawing on its coin. Locked: an outline with a padlock; earned: struck, with a rim. */
export function Emblem({ milestone, earned }: Emblem.IProps): JSX.Element {
  return (
    <svg className="jp-TinyTorch-emblem" viewBox="0 0 48 48" aria-hidden="true" focusable="false">
      <path className="jp-TinyTorch-coin" d={COIN} />
      {earned && (
        <path className="jp-TinyTorch-rim" d="M24 5.8 39.7 14.9v18.2L24 42.2 8.3 33.1V14.9Z" />
      )}
      <g className="jp-TinyTorch-drawing">{DRAWINGS[milestone]}</g>
      {!earned && (
        <g className="jp-TinyTorch-padlock">
          <circle cx="38.5" cy="38.5" r="8" />
          <path d="M35 38h7v5h-7zM36.5 38v-1.8a2 2 0 0 1 4 0V38" />
        </g>
      )}
    </svg>
  );
}
