import * as React from 'react';
import type { MilestoneView, ModuleView } from '../schema';
import type { Execute, ICourseModel } from '../tokens';
import { Badges } from './badges';
import { BuiltCard, ProblemCard, StartCard } from './cards';
import { Header } from './header';
import { ModuleRow } from './module';

export namespace Sidebar {
  export interface IProps {
    readonly model: ICourseModel;
    readonly execute: Execute;
    readonly onModuleMenu: (module: ModuleView, anchor: HTMLElement) => void;
    readonly onBadge: (milestone: MilestoneView, anchor: HTMLElement) => void;
  }
}

/** The whole panel: a card while there is no course to show, else the way through it. */
export function Sidebar(props: Sidebar.IProps): JSX.Element {
  const { model, execute } = props;
  const { course, problem } = model;
  const retry = (): void => void model.refresh();
  if (!course) {
    return problem ? (
      <ProblemCard problem={problem} onRetry={retry} />
    ) : (
      <p className="jp-TinyTorch-loading" role="status">
        Reading the course…
      </p>
    );
  }
  if (course.workspace === null) {
    return <StartCard execute={execute} />;
  }
  return (
    <>
      {problem && <ProblemCard problem={problem} onRetry={retry} />}
      <Header course={course} execute={execute} />
      {course.built && <BuiltCard built={course.built} />}
      <Modules {...props} />
      <Badges course={course} onOpen={props.onBadge} />
    </>
  );
}

function Modules({ model, execute, onModuleMenu }: Sidebar.IProps): JSX.Element {
  const { course, selected, preferences } = model;
  React.useEffect(() => {
    if (selected) {
      void model.recall(selected);
    }
  }, [model, course, selected]);
  return (
    <nav className="jp-TinyTorch-modules" aria-label="Modules">
      <ol>
        {course?.modules.map(module => (
          <ModuleRow
            key={module.id}
            module={module}
            course={course}
            run={model.run(module.id)}
            selected={selected === module.id}
            celebrate={preferences.celebrate}
            execute={execute}
            onSelect={id => model.select(id)}
            onMenu={onModuleMenu}
          />
        ))}
      </ol>
    </nav>
  );
}
