import * as Popover from "@radix-ui/react-popover";
import { ChevronDown } from "lucide-react";
import type { RefObject } from "react";
import type { StudyFilter } from "../../dicomweb/studies";
import { DATE_PRESETS, MODALITIES, presetName } from "./filter";

interface Props {
	columns: string[];
	filter: StudyFilter;
	onChange: (filter: StudyFilter) => void;
	searchField: RefObject<HTMLInputElement | null>;
}

const isoFromDa = (date: string) =>
	date.length === 8 ? `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}` : "";
const daFromIso = (date: string) => date.replaceAll("-", "");

/** The second row of the table's head: one filter under each column that has one. */
export function FilterRow({ columns, filter, onChange, searchField }: Props) {
	const text = (part: "description" | "body_part" | "accession" | "referring" | "station") => (
		<input
			className="filter-field"
			aria-label={`Filter by ${part.replace("_", " ")}`}
			value={filter[part]}
			onChange={(event) => onChange({ ...filter, [part]: event.target.value })}
		/>
	);
	const cells: Record<string, React.ReactNode> = {
		state: (
			<select
				className="filter-field"
				aria-label="Filter by state"
				value={filter.state}
				onChange={(event) => onChange({ ...filter, state: event.target.value })}
			>
				<option value="">any</option>
				<option value="receiving">receiving</option>
				<option value="complete">complete</option>
			</select>
		),
		patient: (
			<input
				ref={searchField}
				className="filter-field"
				aria-label="Search by patient name, patient ID or accession number"
				placeholder="Name, ID or accession   /"
				value={filter.q}
				onChange={(event) => onChange({ ...filter, q: event.target.value })}
			/>
		),
		date: <DateFilter filter={filter} onChange={onChange} />,
		modality: <ModalityFilter filter={filter} onChange={onChange} />,
		description: text("description"),
		body_part: text("body_part"),
		accession: text("accession"),
		referring: text("referring"),
		station: text("station"),
	};
	return (
		<div className="table-row filter-row">
			{columns.map((id) => (
				<div key={id} className="cell">
					{cells[id]}
				</div>
			))}
		</div>
	);
}

type FilterProps = Pick<Props, "filter" | "onChange">;

function DateFilter({ filter, onChange }: FilterProps) {
	return (
		<Popover.Root>
			<Popover.Trigger className="filter-field filter-button" aria-label="Filter by study date">
				<span>{presetName(filter)}</span>
				<ChevronDown size={12} aria-hidden="true" />
			</Popover.Trigger>
			<Popover.Portal>
				<Popover.Content className="menu filter-menu" align="start" sideOffset={4}>
					{DATE_PRESETS.map((preset) => (
						<Popover.Close asChild key={preset.name}>
							<button
								type="button"
								className="menu-item"
								aria-pressed={presetName(filter) === preset.name}
								onClick={() =>
									onChange({ ...filter, date_from: preset.from(), date_to: preset.to() })
								}
							>
								{preset.name}
							</button>
						</Popover.Close>
					))}
					<div className="menu-line" />
					<label className="range-line">
						from
						<input
							type="date"
							className="field"
							value={isoFromDa(filter.date_from)}
							onChange={(event) =>
								onChange({ ...filter, date_from: daFromIso(event.target.value) })
							}
						/>
					</label>
					<label className="range-line">
						to
						<input
							type="date"
							className="field"
							value={isoFromDa(filter.date_to)}
							onChange={(event) => onChange({ ...filter, date_to: daFromIso(event.target.value) })}
						/>
					</label>
				</Popover.Content>
			</Popover.Portal>
		</Popover.Root>
	);
}

function ModalityFilter({ filter, onChange }: FilterProps) {
	const toggle = (modality: string) =>
		onChange({
			...filter,
			modality: filter.modality.includes(modality)
				? filter.modality.filter((each) => each !== modality)
				: [...filter.modality, modality],
		});
	return (
		<Popover.Root>
			<Popover.Trigger className="filter-field filter-button" aria-label="Filter by modality">
				<span>{filter.modality.length ? filter.modality.join(" ") : "any"}</span>
				<ChevronDown size={12} aria-hidden="true" />
			</Popover.Trigger>
			<Popover.Portal>
				<Popover.Content className="menu filter-menu" align="start" sideOffset={4}>
					<fieldset className="chips">
						<legend className="visually-hidden">Modalities</legend>
						{MODALITIES.map((modality) => (
							<button
								type="button"
								key={modality}
								className="chip"
								aria-pressed={filter.modality.includes(modality)}
								onClick={() => toggle(modality)}
							>
								{modality}
							</button>
						))}
					</fieldset>
				</Popover.Content>
			</Popover.Portal>
		</Popover.Root>
	);
}
