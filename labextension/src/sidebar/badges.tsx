import * as React from 'react';
import type { CourseView, MilestoneView } from '../schema';
import { Emblem } from './emblem';

export namespace Badges {
  export interface IProps {
    readonly course: CourseView;
    /** Opens the milestone's historical notebook, or a menu when it has several. */
    readonly onOpen: (milestone: MilestoneView, anchor: HTMLElement) => void;
  }
}

/** Five points of history on a line, locked or earned. */
export function Badges({ course, onOpen }: Badges.IProps): JSX.Element {
  return (
    <section className="jp-TinyTorch-milestones" aria-label="Milestones">
      <ol className="jp-TinyTorch-badges">
        {course.milestones.map(milestone => (
          <li key={milestone.id}>
            <Badge
              milestone={milestone}
              opens={course.historical.some(
                h => h.milestone === milestone.id && h.state === 'available'
              )}
              after={course.modules.find(m => m.id === milestone.module)?.title ?? ''}
              onOpen={onOpen}
            />
          </li>
        ))}
      </ol>
    </section>
  );
}

interface IBadge {
  readonly milestone: MilestoneView;
  readonly opens: boolean;
  readonly after: string;
  readonly onOpen: Badges.IProps['onOpen'];
}

function Badge({ milestone, opens, after, onOpen }: IBadge): JSX.Element {
  const { id, name, year, title, earned } = milestone;
  const caption = earned
    ? `${title} ${opens ? `Open ${name} (${year})` : ''}`.trim()
    : `${title} Earned with ${after}.`;
  return (
    <button
      type="button"
      className="jp-TinyTorch-badge"
      data-testid={`tinytorch-badge-${id}`}
      data-earned={earned}
      aria-disabled={!opens}
      title={caption}
      aria-label={`${name} (${year}), ${earned ? 'earned' : 'locked'}. ${caption}`}
      onClick={event => opens && onOpen(milestone, event.currentTarget)}
    >
      <Emblem milestone={id} earned={earned} />
      <span className="jp-TinyTorch-year">{year}</span>
      <span className="jp-TinyTorch-badgeName">{name}</span>
    </button>
  );
}
