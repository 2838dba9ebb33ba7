package guardduty

import "strings"

// action holds of each sort of action who did it. At most one of them is set
// (GuardDuty API reference, type Action).
type action struct {
	API struct {
		API         string  `json:"api"`
		ServiceName string  `json:"serviceName"`
		ErrorCode   string  `json:"errorCode"`
		Remote      remote  `json:"remoteIpDetails"`
		Account     account `json:"remoteAccountDetails"`
	} `json:"awsApiCallAction"`
	Network struct {
		Direction string `json:"connectionDirection"`
		Remote    remote `json:"remoteIpDetails"`
	} `json:"networkConnectionAction"`
	DNS struct {
		Domain string `json:"domain"`
	} `json:"dnsRequestAction"`
	Probe struct {
		Details []struct {
			Remote remote `json:"remoteIpDetails"`
		} `json:"portProbeDetails"`
	} `json:"portProbeAction"`
	Kubernetes struct {
		Verb   string `json:"verb"`
		URI    string `json:"requestUri"`
		Remote remote `json:"remoteIpDetails"`
	} `json:"kubernetesApiCallAction"`
	Login struct {
		Remote remote `json:"remoteIpDetails"`
	} `json:"rdsLoginAttemptAction"`
}

type remote struct {
	V4      string `json:"ipAddressV4"`
	V6      string `json:"ipAddressV6"`
	Country struct {
		Name string `json:"countryName"`
	} `json:"country"`
	Organization struct {
		Name string `json:"asnOrg"`
	} `json:"organization"`
}

type account struct {
	ID string `json:"accountId"`
}

// String is "198.51.100.7 (Italy, Example Net)", empty for no address.
func (r remote) String() string {
	ip := first(r.V4, r.V6)
	if ip == "" {
		return ""
	}
	var where []string
	for _, w := range []string{r.Country.Name, r.Organization.Name} {
		if w != "" {
			where = append(where, w)
		}
	}
	if len(where) > 0 {
		ip += " (" + strings.Join(where, ", ") + ")"
	}
	return ip
}

// actor says in one line who acted, and what they called or asked for; empty where the finding does not tell.
func (f *finding) actor() string {
	a := &f.Service.Action
	var parts []string
	add := func(word, value string) {
		if value != "" {
			parts = append(parts, word+value)
		}
	}
	key := f.Resource.AccessKey
	switch key.UserType {
	case "":
	case "Root":
		parts = append(parts, "the root user")
	default:
		add(key.UserType+" ", key.UserName)
	}
	probe := ""
	if len(a.Probe.Details) > 0 {
		probe = a.Probe.Details[0].Remote.String()
	}
	add("address ", first(a.API.Remote.String(), a.Network.Remote.String(), probe, a.Kubernetes.Remote.String(), a.Login.Remote.String()))
	add("account ", a.API.Account.ID)
	add("domain ", a.DNS.Domain)
	if a.API.API != "" {
		add("call ", strings.TrimPrefix(a.API.ServiceName+" "+a.API.API, " "))
		add("refused with ", a.API.ErrorCode)
	}
	if a.Kubernetes.Verb != "" {
		add("call ", a.Kubernetes.Verb+" "+a.Kubernetes.URI)
	}
	seq := &f.Service.Detection.Sequence
	for _, x := range seq.Actors[:min(len(seq.Actors), maxActors)] {
		add("user ", x.User.Name)
	}
	for _, x := range seq.Endpoints[:min(len(seq.Endpoints), maxActors)] {
		add("endpoint ", first(x.IP, x.Domain))
	}
	return strings.Join(parts, ", ")
}

// maxActors is how many of an attack sequence's users and of its endpoints are named.
const maxActors = 5
