package routing

// urgencyWords lists, lower-case, what words mean for the priority, in the languages of support desks in Europe and around it. A word that
// means something else in another of these languages is left out.
var urgencyWords = map[urgency][]string{
	emergency: {
		"emergency", "outage", "catastrophic", "hacked", "ransomware", "breach",
		"notfall", "notfälle", "totalausfall", "gehackt", "datenleck", "katastrophal",
		"piraté", "piratage", "catastrophe",
		"emergencia", "hackeado", "hackeada", "emergenza", "emergência", "noodgeval", "gehackt", "nødstilfælde", "nödsituation",
		"hätätilanne", "awaria", "havárie", "vészhelyzet", "авария", "аварія",
	},
	urgent: {
		"urgent", "urgently", "urgency", "asap", "immediately", "immediate", "critical", "instantly",
		"dringend", "dringende", "dringender", "dringendes", "dringlich", "eilig", "sofort", "sofortige", "sofortiger", "umgehend", "schnellstens",
		"schnellstmöglich", "unverzüglich", "eilt", "kritisch",
		"urgente", "urgents", "urgentes", "urgence", "immédiatement", "immédiat", "immédiate", "critique",
		"urgentemente", "urgencia", "inmediatamente", "inmediato", "crítico", "crítica",
		"urgenti", "urgenza", "urgentemente", "immediatamente", "subito", "critico",
		"urgência", "imediatamente", "imediato",
		"dringende", "spoed", "spoedeisend", "onmiddellijk", "meteen",
		"haster", "omgående", "brådskande", "akut", "øyeblikkelig", "øjeblikkeligt", "kiireellinen",
		"pilne", "pilnie", "pilny", "natychmiast", "krytyczny",
		"urgentní", "naléhavé", "okamžitě", "neprodleně", "sürgős", "azonnal", "urgență", "imediat",
		"acil", "acilen", "hemen", "derhal", "срочно", "немедленно", "терміново", "негайно", "спешно", "επείγον", "αμέσως",
	},
	pressure: {
		"deadline", "blocked", "blocking", "blocker", "escalate", "escalation", "unacceptable", "furious", "lawyer", "overdue",
		"frist", "blockiert", "eskalation", "eskalieren", "inakzeptabel", "unzumutbar", "anwalt", "überfällig",
		"bloqué", "bloquée", "inadmissible", "inacceptable", "avocat",
		"bloqueado", "bloqueada", "inaceptable", "abogado", "bloccato", "bloccata", "inaccettabile", "avvocato", "inaceitável", "advogado",
		"geblokkeerd", "onacceptabel", "advocaat", "zablokowany", "zablokowane", "niedopuszczalne", "prawnik",
		"nepřijatelné", "elfogadhatatlan", "inacceptabil", "avukat", "недопустимо", "юрист",
	},
	denial: {
		"not", "isn", "no", "never", "without", "nicht", "kein", "keine", "keinen", "nie", "ohne",
		"pas", "non", "sans", "aucune", "aucun", "nada", "sin", "não", "sem", "senza", "niet", "geen", "zonder", "ikke", "inte", "ingen", "utan", "uden",
		"ei", "bez", "nem", "не", "нет", "без", "δεν",
	},
	denyBack: {"değil"},
	noHurry: {
		"rush", "hurry", "eile", "presse", "prisa", "pressa", "fretta", "haast", "bråttom", "hastværk", "kiire", "pośpiechu", "acele", "спешки",
	},
	filler: {
		"so", "very", "that", "really", "at", "all", "the", "a", "an", "sehr", "besonders", "wirklich", "une", "un", "de", "d", "très",
		"muy", "una", "uma", "muito", "molto", "erg", "heel", "zo", "veldig", "mycket", "meget", "t", "es", "est", "is", "ist", "era", "è", "é", "hay", "há", "c",
	},
}
