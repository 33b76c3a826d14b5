import { Notice } from "../Notice";
import { reportOf } from "../../model/report";
import { useSession, useViewer } from "./session-context";
import { displaySetsIn } from "./viewer-state";

/** The study's reports and documents. */
export function ReportsPanel() {
	const session = useSession();
	const state = useViewer();
	const documents = displaySetsIn(state).filter(
		({ kind }) => kind === "report" || kind === "document",
	);
	if (documents.length === 0) return <Notice title="This study has no reports." />;
	return (
		<ul className="panel-list">
			{documents.map((set) => {
				const report = set.kind === "report" ? reportOf(set.instances[0] ?? {}) : undefined;
				return (
					<li key={set.id}>
						<button
							type="button"
							data-active={state.panes.includes(set.id)}
							onClick={() => session.open(set.id)}
						>
							<strong>{report?.title ?? (set.description || set.className)}</strong>
							<span>
								{report
									? [
											report.stated && report.completion,
											report.stated && (report.verified ? "verified" : "not verified"),
											report.date,
										]
											.filter(Boolean)
											.join(" · ")
									: set.className}
							</span>
						</button>
					</li>
				);
			})}
		</ul>
	);
}
