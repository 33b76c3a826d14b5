import { Copy } from "lucide-react";
import { useState } from "react";
import {
	loadDemoStudies,
	type Session,
	type StudyFilter,
	type StudyPage,
} from "../../dicomweb/studies";
import { Notice } from "../Notice";
import { FILTER_NAMES, isFiltered, lifted, NO_FILTER, only, partText } from "./filter";

function CopyValue({ name, value }: { name: string; value: string }) {
	const [copied, setCopied] = useState(false);
	return (
		<div className="copy-line">
			<dt>{name}</dt>
			<dd>
				<code>{value}</code>
				<button
					type="button"
					className="icon-button"
					aria-label={`Copy ${name}`}
					title={`Copy ${name}`}
					onClick={() =>
						navigator.clipboard.writeText(value).then(
							() => setCopied(true),
							() => setCopied(false),
						)
					}
				>
					{copied ? "✓" : <Copy size={14} aria-hidden="true" />}
				</button>
			</dd>
		</div>
	);
}

/** Nothing is stored yet: three ways to a first study. */
export function EmptyArchive({
	session,
	onChooseFiles,
}: {
	session: Session;
	onChooseFiles: () => void;
}) {
	const [state, setState] = useState("");
	const mayStore = session.permissions.includes("store_instances");
	async function demo() {
		setState("Loading the demo studies …");
		try {
			const answer = await loadDemoStudies();
			setState(`${answer.accepted} images taken in; they appear here as they are indexed.`);
		} catch (error) {
			setState(error instanceof Error ? error.message : String(error));
		}
	}
	return (
		<Notice title="No studies yet.">
			<p>Send a first study from a scanner or workstation to this address:</p>
			<dl className="copy-lines">
				<CopyValue name="AE title" value={session.ae_title} />
				<CopyValue name="Address" value={session.dicom_host} />
				<CopyValue name="Port" value={String(session.dicom_port)} />
			</dl>
			{mayStore && (
				<>
					<p>Or drop DICOM files anywhere on this page.</p>
					<div className="notice-actions">
						<button type="button" className="button" onClick={onChooseFiles}>
							Choose files
						</button>
						<button
							type="button"
							className="button"
							data-kind="primary"
							onClick={demo}
							disabled={state.startsWith("Loading")}
						>
							Load demo studies
						</button>
					</div>
				</>
			)}
			<p aria-live="polite">{state}</p>
		</Notice>
	);
}

/** Nothing matches: which filter is in the way. */
export function NoMatch({
	page,
	filter,
	onChange,
}: {
	page: StudyPage;
	filter: StudyFilter;
	onChange: (filter: StudyFilter) => void;
}) {
	return (
		<Notice title="No study matches.">
			{page.excluded_by.map(({ filter: part, count }) => (
				<p key={part}>
					Without the filter on {FILTER_NAMES[part]} ({partText(filter, part)}) there{" "}
					{count === 1 ? "is 1 study" : `are ${count.toLocaleString()} studies`}.{" "}
					<button type="button" className="button" onClick={() => onChange(lifted(filter, part))}>
						Lift it
					</button>
				</p>
			))}
			{page.excluded_by.length === 0 && isFiltered(filter) && (
				<p>Several filters exclude everything together.</p>
			)}
			{page.found_by.map(({ filter: part, count }) => (
				<p key={part}>
					Alone, {FILTER_NAMES[part]} ({partText(filter, part)}) finds{" "}
					{count === 1 ? "1 study" : `${count.toLocaleString()} studies`}.{" "}
					<button type="button" className="button" onClick={() => onChange(only(filter, part))}>
						Keep only this
					</button>
				</p>
			))}
			<button type="button" className="button" onClick={() => onChange(NO_FILTER)}>
				Lift all filters <kbd>Esc</kbd>
			</button>
		</Notice>
	);
}
