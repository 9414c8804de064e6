package routing

import (
	"testing"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
)

func text(s string) *commonv1.FieldValue {
	return &commonv1.FieldValue{Value: &commonv1.FieldValue_Text{Text: s}}
}

func TestPriority(t *testing.T) {
	t.Parallel()
	const (
		low    = routingv1.Priority_PRIORITY_LOW
		normal = routingv1.Priority_PRIORITY_NORMAL
		high   = routingv1.Priority_PRIORITY_HIGH
		top    = routingv1.Priority_PRIORITY_URGENT
	)
	vip := &commonv1.FieldValue{Value: &commonv1.FieldValue_Boolean{Boolean: true}}
	for _, c := range []struct {
		text, channel string
		attributes    map[string]*commonv1.FieldValue
		want          routingv1.Priority
	}{
		{"please change my address", "email", nil, normal},
		{"this is URGENT", "email", nil, high},
		{"urgent urgent urgent ASAP!!!", "email", nil, high},
		{"this is urgent", "chat", nil, high},
		{"this is urgent", "", map[string]*commonv1.FieldValue{"vip": vip}, top},
		{"outage in Graz", "", nil, top},
		{"Notfall! Server steht.", "", nil, top},
		{"Das ist dringend", "", nil, high},
		{"Das ist nicht so dringend", "", nil, low},
		{"it's not urgent", "", nil, low},
		{"isn't that urgent", "phone", nil, low},
		{"not urgent", "phone", map[string]*commonv1.FieldValue{"tier": text("Gold")}, normal},
		{"no rush at all", "", nil, low},
		{"keine Eile", "", nil, low},
		{"acil değil", "", nil, low},
		{"acil", "", nil, high},
		{"c'est très urgent", "", nil, high},
		{"ce n'est pas urgent", "", nil, low},
		{"it does not work. Urgent!", "", nil, high},
		{"I have no access, urgent", "", nil, high},
		{"please help!!!", "", nil, normal},
		{"please help!!!", "Phone", nil, high},
		{"срочно нужна помощь", "", nil, high},
		{"hello", "", map[string]*commonv1.FieldValue{"tier": text("enterprise")}, high},
		{"hello", "", map[string]*commonv1.FieldValue{"tier": text("free")}, low},
		{"hello", "", map[string]*commonv1.FieldValue{"tier": text("gold"), "vip": text("yes")}, top},
		{"hello", "", map[string]*commonv1.FieldValue{"vip": text("no")}, normal},
		{"", "", nil, normal},
	} {
		var r reading
		r.read(c.text)
		if got := priority(r.urgency, c.channel, c.attributes); got != c.want {
			t.Errorf("%q over %q with %v: %v, want %v", c.text, c.channel, c.attributes, got, c.want)
		}
	}
}

func TestNoUrgencyWordHasTwoMeanings(t *testing.T) {
	t.Parallel()
	seen := map[string]urgency{}
	for u, list := range urgencyWords {
		for _, w := range list {
			if was, ok := seen[w]; ok && was != u {
				t.Errorf("%q means %d and %d", w, was, u)
			}
			seen[w] = u
		}
	}
}

func TestLanguageOfTheCallerWins(t *testing.T) {
	t.Parallel()
	var r reading
	r.read("Das Gerät ist kaputt und ich brauche Hilfe")
	for locale, want := range map[string]string{"de-AT": "de", "EN": "en", "pt_BR": "pt", "": "de", "und": "de", "x": "de", "1234": "de", "fil-PH": "fil"} {
		got := languageOf(locale, &r.language)
		if got.GetCode() != want || (locale == "EN") && got.GetConfidence() != 1 {
			t.Errorf("%q: %v, want %s", locale, got, want)
		}
	}
}

func TestLanguageOfTexts(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"My laptop is broken and I cannot work": "en", "Mein Laptop ist kaputt und ich kann nicht arbeiten": "de", "Mon ordinateur est en panne et je ne peux pas travailler": "fr",
		"Mi portátil está roto y no puedo trabajar": "es", "Il mio computer non funziona più e non posso lavorare": "it", "O meu computador não funciona e não posso trabalhar": "pt",
		"Mijn laptop is kapot en ik kan niet werken": "nl", "Mój komputer nie działa i nie mogę pracować": "pl", "Dizüstü bilgisayarım bozuldu ve çalışamıyorum, lütfen yardım": "tr",
		"Min bærbare computer virker ikke, og jeg kan ikke arbejde": "da", "Min dator fungerar inte och jag kan inte arbeta": "sv", "Tietokoneeni ei toimi enkä voi työskennellä, kiitos": "fi",
		"Můj počítač nefunguje a nemohu pracovat, prosím": "cs", "A gépem nem működik és nem tudok dolgozni": "hu", "Calculatorul meu nu funcționează și nu pot lucra": "ro",
		"Мой ноутбук сломался и я не могу работать, это": "ru", "Мій ноутбук зламався і я не можу працювати": "uk", "Лаптопът ми не работи, бързо": "bg", "Ο υπολογιστής μου χάλασε": "el",
		"حاسوبي لا يعمل": "ar", "لپتاپ من خراب شده است": "fa", "המחשב שלי לא עובד": "he", "我的电脑坏了": "zh", "パソコンが壊れました": "ja", "노트북이 고장났어요": "ko",
		"मेरा लैपटॉप खराब है": "hi", "คอมพิวเตอร์ของฉันเสีย": "th", "12345 !!!": "und", "": "und", "brrrt": "und",
	} {
		if got, confidence := detect(s); got != want || confidence < 0 || confidence > 1 {
			t.Errorf("%q: %s (%.2f), want %s", s, got, confidence, want)
		}
	}
}

func FuzzReading(f *testing.F) {
	f.Add("urgent! не срочно 我 ß\xff")
	f.Fuzz(func(t *testing.T, s string) {
		code, confidence := detect(s)
		if code == "" || confidence < 0 || confidence > 1 {
			t.Errorf("%q: %q with confidence %v", s, code, confidence)
		}
	})
}
